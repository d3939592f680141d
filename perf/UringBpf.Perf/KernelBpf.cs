using System.Runtime.InteropServices;
using UringBpf.Bytecode;

namespace UringBpf.Perf;

/// <summary>A program in the running kernel, verified and compiled by it, by bpf(2). Needs privileges.</summary>
internal sealed unsafe partial class KernelBpf : IDisposable
{
    private const int BpfSyscall = 321, MapCreate = 0, MapUpdate = 2, ProgramLoad = 5, ProgramTestRun = 10, BtfLoad = 18, SocketFilter = 1;
    private const int PseudoMapFd = 1, PseudoMapValue = 2;
    // Per-CPU maps take a value per possible processor: at most this many.
    private const int MaxProcessors = 8192;
    private readonly List<int> _descriptors = [];
    private int _program = -1;

    private KernelBpf()
    {
    }

    /// <summary>Loads a program, as a socket filter that does not look at its packet; null where bpf(2) refuses.</summary>
    /// <param name="instructions">64-bit immediates of the kinds map index and map value mean <paramref name="maps"/>.</param>
    /// <param name="maps">The maps it names.</param>
    /// <param name="keys">Keys 0..keys-1 exist in every map, as far as they fit.</param>
    /// <param name="value">The value of those keys; zeroes where it is empty.</param>
    /// <param name="functions">Where its functions start, and which of them the kernel is to verify once, not at each call: it takes that from BTF.</param>
    public static KernelBpf? TryLoad(ReadOnlySpan<Instruction> instructions, IReadOnlyList<MapSpec> maps, int keys, Func<MapSpec, byte[]>? value = null, IReadOnlyList<(int Start, bool IsGlobal)>? functions = null)
    {
        if (!OperatingSystem.IsLinux() || RuntimeInformation.ProcessArchitecture != Architecture.X64) return null;
        var program = new KernelBpf();
        foreach (var map in maps)
        {
            if (!program.AddMap(map, keys, value?.Invoke(map) ?? []))
            {
                program.Dispose();
                return null;
            }
        }
        if (program.Load(instructions, functions ?? [])) return program;
        program.Dispose();
        return null;
    }

    /// <summary>Runs it so many times on an empty packet; gives the low half of r0.</summary>
    public uint Run(int times)
    {
        var packet = stackalloc byte[64];
        var attributes = stackalloc uint[32];
        new Span<uint>(attributes, 32).Clear();
        attributes[0] = (uint)_program;
        attributes[2] = 64;
        *(byte**)(attributes + 4) = packet;
        attributes[8] = (uint)times;
        if (syscall(BpfSyscall, ProgramTestRun, attributes, 128) < 0) throw new InvalidOperationException($"BPF_PROG_TEST_RUN: errno {Marshal.GetLastPInvokeError()}");
        return attributes[1];
    }

    public void Dispose()
    {
        if (_program >= 0) close(_program);
        foreach (var descriptor in _descriptors) close(descriptor);
    }

    private bool AddMap(MapSpec map, int keys, ReadOnlySpan<byte> value)
    {
        var attributes = stackalloc uint[32];
        new Span<uint>(attributes, 32).Clear();
        attributes[0] = (uint)map.Type;
        attributes[1] = (uint)map.KeySize;
        attributes[2] = (uint)map.ValueSize;
        attributes[3] = (uint)map.MaxEntries;
        var descriptor = (int)syscall(BpfSyscall, MapCreate, attributes, 128);
        if (descriptor < 0) return false;
        _descriptors.Add(descriptor);
        var memory = new byte[map.ValueSize * (map.Type is MapType.PerCpuArray or MapType.PerCpuHash or MapType.LruPerCpuHash ? MaxProcessors : 1)];
        value.CopyTo(memory);
        fixed (byte* values = memory)
        {
            for (long key = 0; key < keys; key++)
            {
                new Span<uint>(attributes, 32).Clear();
                attributes[0] = (uint)descriptor;
                *(long**)(attributes + 2) = &key;
                *(byte**)(attributes + 4) = values;
                _ = syscall(BpfSyscall, MapUpdate, attributes, 128);
            }
        }
        return true;
    }

    private bool Load(ReadOnlySpan<Instruction> instructions, IReadOnlyList<(int Start, bool IsGlobal)> functions)
    {
        var code = instructions.ToArray();
        for (var i = 0; i < code.Length; i++)
        {
            if (!code[i].IsWide) continue;
            var kind = (WideKind)code[i].Source;
            if (kind is WideKind.MapIndex or WideKind.MapValueIndex)
                code[i] = code[i].WithSource(kind == WideKind.MapIndex ? PseudoMapFd : PseudoMapValue).WithImmediate(_descriptors[code[i].Immediate]);
            i++;
        }
        var attributes = stackalloc uint[32];
        new Span<uint>(attributes, 32).Clear();
        // struct bpf_func_info: where a function starts, and its type.
        var places = functions.SelectMany(function => new[] { function.Start, function.IsGlobal ? GlobalFunction : StaticFunction }).ToArray();
        var types = functions.Count > 0 ? LoadTypes() : -1;
        fixed (Instruction* first = code)
        fixed (int* place = places)
        fixed (byte* license = "GPL\0"u8)
        {
            if (functions.Count > 0)
            {
                attributes[18] = (uint)types;
                attributes[19] = 2 * sizeof(int);
                *(int**)(attributes + 20) = place;
                attributes[22] = (uint)functions.Count;
            }
            attributes[0] = SocketFilter;
            attributes[1] = (uint)code.Length;
            *(Instruction**)(attributes + 2) = first;
            *(byte**)(attributes + 4) = license;
            _program = (int)syscall(BpfSyscall, ProgramLoad, attributes, 128);
        }
        if (types >= 0) close(types);
        return _program >= 0;
    }

    private const int StaticFunction = 3, GlobalFunction = 4;

    // BTF with two functions, u64 f(void): [1] INT, [2] FUNC_PROTO, [3] and [4] FUNC.
    private static int LoadTypes()
    {
        const int header = 24, integer = 1 << 24, function = 12 << 24, prototype = 13 << 24, global = 1;
        int[] types = [1, integer, 8, 64, 0, prototype, 1, 5, function, 2, 5, function | global, 2];
        byte[] strings = [.. "\0u64\0f\0"u8];
        var blob = new byte[header + types.Length * sizeof(int) + strings.Length];
        int[] head = [0x0001eb9f, header, 0, types.Length * sizeof(int), types.Length * sizeof(int), strings.Length];
        Buffer.BlockCopy(head, 0, blob, 0, header);
        Buffer.BlockCopy(types, 0, blob, header, types.Length * sizeof(int));
        strings.CopyTo(blob, blob.Length - strings.Length);
        var attributes = stackalloc uint[32];
        new Span<uint>(attributes, 32).Clear();
        fixed (byte* bytes = blob)
        {
            *(byte**)attributes = bytes;
            attributes[4] = (uint)blob.Length;
            return (int)syscall(BpfSyscall, BtfLoad, attributes, 128);
        }
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint syscall(nint number, nint command, uint* attributes, nint size);

    [LibraryImport("libc")]
    private static partial int close(int descriptor);
}
