using System.Text.RegularExpressions;
using UringBpf.Bytecode;
using UringBpf.Runtime;

namespace UringBpf.Compiler.Tests;

/// <summary>Dumps: what is in them, and that IL dumps never change from run to run.</summary>
public sealed class DumpTests
{
    // counts[ctx[0] & 7] += 1; returns f(ctx[0]).
    private static readonly MapSpec s_counts = new() { Name = "counts", Type = MapType.Array, KeySize = 4, ValueSize = 8, MaxEntries = 8, IsGlobalData = true };

    private static VerifiedProgram Program() => TestPrograms.Trusted(
    [
        new(0x79, 1, 1), new(0xbf, 2, 1), new(0x57, 2, immediate: 7), new(0x67, 2, immediate: 3),
        new(0x18, 3, 6), new(), new(0x0f, 3, 2), new(0x79, 4, 3), new(0x07, 4, immediate: 1), new(0x7b, 3, 4),
        new(0x85, source: 1, immediate: 1), new(0x95),
        new(0xbf, 0, 1), new(0x27, 0, immediate: 1_000_003), new(0x95),
    ], null, maps: [s_counts], subprograms: [new("main", 0, 12), new("scale", 12, 3)]);

    [Fact]
    public void TheIlDumpHasSymbolsInPlaceOfAddressesAndNeverChanges()
    {
        var text = ProgramDump.Il(Program(), CompilerOptions.Straight);
        Assert.Contains("    2: r2 &= 0x7\n            ldloc      r2\n", text, StringComparison.Ordinal);
        Assert.Contains("ldc.i8     value counts", text, StringComparison.Ordinal);
        Assert.Contains("call       scale", text, StringComparison.Ordinal);
        Assert.DoesNotMatch(new Regex("0x[0-9a-f]{9,}"), text);
        Assert.Equal(text, ProgramDump.Il(Program(), CompilerOptions.Straight));
    }

    [Fact]
    public void MachineCodeIsDecodedAnnotatedAndSymbolised()
    {
        if (System.Runtime.InteropServices.RuntimeInformation.ProcessArchitecture != System.Runtime.InteropServices.Architecture.X64)
            Assert.Skip("machine code dumps are for x86-64");
        using var maps = MapSet.Create([s_counts]);
        var text = ProgramDump.MachineCode(Program(), maps, CompilerOptions.Default with { InlineSubprograms = false });
        Assert.Matches(@"main, machine code, \d+ bytes of code", text);
        Assert.Matches(@"scale, machine code, \d+ bytes of code", text);
        Assert.Contains("counts", text, StringComparison.Ordinal);
        Assert.Matches(@"r0 \*= 1000003|r0 \*= 0xf4243", text);
        // The multiplication is below its BPF instruction.
        Assert.Matches(@"r0 \*= 0xf4243\n +imul [^\n]*0xf4243", text);
    }

    /// <summary>A host's function that is not inlined.</summary>
    [System.Runtime.CompilerServices.MethodImpl(System.Runtime.CompilerServices.MethodImplOptions.NoInlining)]
    public static ulong First() => 1;

    /// <summary>Another.</summary>
    [System.Runtime.CompilerServices.MethodImpl(System.Runtime.CompilerServices.MethodImplOptions.NoInlining)]
    public static ulong Second() => 2;

    [Fact]
    public void CallsInMachineCodeHaveTheNamesOfWhatTheyCall()
    {
        if (System.Runtime.InteropServices.RuntimeInformation.ProcessArchitecture != System.Runtime.InteropServices.Architecture.X64)
            Assert.Skip("machine code dumps are for x86-64");
        var registry = FunctionRegistry.BuiltIn;
        foreach (var (name, id) in new[] { (nameof(First), 0x10000), (nameof(Second), 0x10001) })
            registry = registry.With(new FunctionPrototype { Name = name, Id = id, Kind = FunctionKind.Helper }, typeof(DumpTests).GetMethod(name)!);
        // r6 = First(); r0 = Second(); r0 += r6.
        var program = TestPrograms.Trusted([new(0x85, immediate: 0x10000), new(0xbf, 6, 0), new(0x85, immediate: 0x10001), new(0x0f, 0, 6), new(0x95)], null, functions: registry.Prototypes);
        var text = ProgramDump.MachineCode(program, MapSet.Empty, CompilerOptions.Default with { Functions = registry });
        // Each below its own BPF call.
        Assert.Matches(@"# First\n( +[^:;\n]*\n)* +call [^\n]*DumpTests\.First", text);
        Assert.Matches(@"# Second\n( +[^:;\n]*\n)* +call [^\n]*DumpTests\.Second", text);
        Assert.DoesNotMatch(@"call [^\n]*rip[+-]0x", text);
    }

    [Fact]
    public void ThePageHasFourColumnsAndIsSelfContained()
    {
        if (System.Runtime.InteropServices.RuntimeInformation.ProcessArchitecture != System.Runtime.InteropServices.Architecture.X64)
            Assert.Skip("machine code dumps are for x86-64");
        using var maps = MapSet.Create([s_counts]);
        var page = ProgramDump.Html(Program(), maps);
        Assert.Contains("<th>source</th><th>BPF</th><th>IL</th><th>machine code</th>", page, StringComparison.Ordinal);
        Assert.Contains("prefers-color-scheme: dark", page, StringComparison.Ordinal);
        Assert.DoesNotContain("http", page, StringComparison.Ordinal);
        Assert.Equal(Regex.Count(page, "<tr data-line"), Regex.Count(page, "</td></tr>"));
    }
}
