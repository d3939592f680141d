using System.Collections.Immutable;

namespace UringBpf.Bytecode;

/// <summary>What an object is loaded against. The same bytes and options always give the same specs: nothing is read from the machine.</summary>
public sealed record LoadOptions
{
    /// <summary>The built-in functions and program types.</summary>
    public static LoadOptions Default { get; } = new();

    /// <summary>The helpers and kfuncs programs may name.</summary>
    public PrototypeTable Functions { get; init; } = PrototypeTable.BuiltIn;

    /// <summary>The program types that section names are looked up in.</summary>
    public ImmutableArray<ProgramType> Types { get; init; } = ProgramTypes.All;

    /// <summary>Types that CO-RE relocations are resolved against after this library's own context structs, such as the
    /// running kernel's (<c>BtfSpec.Parse(File.ReadAllBytes("/sys/kernel/btf/vmlinux"))</c>); null for none.</summary>
    public BtfSpec? TargetBtf { get; init; }

    /// <summary>Values of <c>extern … __kconfig</c> variables by name. <c>LINUX_KERNEL_VERSION</c> is 6.12.0 unless given
    /// here, and libbpf's <c>LINUX_HAS_BPF_COOKIE</c> and <c>LINUX_HAS_SYSCALL_WRAPPER</c> are 0.</summary>
    public ImmutableDictionary<string, long> KernelConfiguration
    {
        get => field ?? ImmutableDictionary<string, long>.Empty;
        // Made when someone asks: its code is not there ahead of time.
        init;
    }
}
