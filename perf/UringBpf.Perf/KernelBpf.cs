using System.Runtime.InteropServices;
using UringBpf.Bytecode;

namespace UringBpf.Perf;

/// <summary>A program with at most one map in the running kernel, by bpf(2): the peer of map operations. Needs privileges.</summary>
internal sealed unsafe partial class KernelBpf : IDisposable
{
    private const int BpfSyscall = 321, MapCreate = 0, MapUpdate = 2, ProgramLoad = 5, ProgramTestRun = 10, SocketFilter = 1, PseudoMapFd = 1;
    private readonly int _map, _program;

    private KernelBpf(int map, int program)
    {
        _map = map;
        _program = program;
    }

    /// <summary>Loads a program whose 64-bit immediates of kind map index mean <paramref name="map"/>, whose keys
    /// 0..keys-1 exist as far as they fit; null where bpf(2) refuses.</summary>
    public static KernelBpf? TryLoad(ReadOnlySpan<Instruction> instructions, MapSpec map, int keys)
    {
        if (!OperatingSystem.IsLinux() || RuntimeInformation.ProcessArchitecture != Architecture.X64) return null;
        var attributes = stackalloc uint[32];
        new Span<uint>(attributes, 32).Clear();
        attributes[0] = (uint)map.Type;
        attributes[1] = (uint)map.KeySize;
        attributes[2] = (uint)map.ValueSize;
        attributes[3] = (uint)map.MaxEntries;
        var mapFd = (int)syscall(BpfSyscall, MapCreate, attributes, 128);
        if (mapFd < 0) return null;
        // Per-CPU maps take a value per possible processor: at most this many.
        var value = new byte[8 * 8192];
        fixed (byte* values = value)
        {
            for (long key = 0; key < keys; key++)
            {
                new Span<uint>(attributes, 32).Clear();
                attributes[0] = (uint)mapFd;
                *(long**)(attributes + 2) = &key;
                *(byte**)(attributes + 4) = values;
                _ = syscall(BpfSyscall, MapUpdate, attributes, 128);
            }
        }

        var code = instructions.ToArray();
        for (var i = 0; i < code.Length; i++)
        {
            if (code[i].IsWide) code[i] = code[i].WithSource(PseudoMapFd).WithImmediate(mapFd);
        }
        new Span<uint>(attributes, 32).Clear();
        int program;
        fixed (Instruction* first = code)
        fixed (byte* license = "GPL\0"u8)
        {
            attributes[0] = SocketFilter;
            attributes[1] = (uint)code.Length;
            *(Instruction**)(attributes + 2) = first;
            *(byte**)(attributes + 4) = license;
            program = (int)syscall(BpfSyscall, ProgramLoad, attributes, 128);
        }
        if (program >= 0) return new KernelBpf(mapFd, program);
        close(mapFd);
        return null;
    }

    /// <summary>Runs it so many times on an empty packet.</summary>
    public void Run(int times)
    {
        var packet = stackalloc byte[64];
        var attributes = stackalloc uint[32];
        new Span<uint>(attributes, 32).Clear();
        attributes[0] = (uint)_program;
        attributes[2] = 64;
        *(byte**)(attributes + 4) = packet;
        attributes[8] = (uint)times;
        if (syscall(BpfSyscall, ProgramTestRun, attributes, 128) < 0) throw new InvalidOperationException($"BPF_PROG_TEST_RUN: errno {Marshal.GetLastPInvokeError()}");
    }

    public void Dispose()
    {
        close(_program);
        close(_map);
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint syscall(nint number, nint command, uint* attributes, nint size);

    [LibraryImport("libc")]
    private static partial int close(int descriptor);
}
