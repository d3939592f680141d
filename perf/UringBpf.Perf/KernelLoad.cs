using System.Runtime.InteropServices;
using UringBpf.Bytecode;

namespace UringBpf.Perf;

/// <summary>A program ready to be loaded into the running kernel, its maps made: the peer of the verifier. Needs privileges.</summary>
internal sealed unsafe partial class KernelLoad : IDisposable
{
    private const int BpfSyscall = 321, MapCreate = 0, MapUpdate = 2, ProgramLoad = 5, MapFreeze = 22;
    private const int SocketFilter = 1, Xdp = 6, Syscall = 31, PseudoMapFd = 1, PseudoMapValue = 2;
    private const uint SleepableFlag = 1 << 4;

    private readonly List<int> _maps = [];
    private readonly Instruction[] _code;
    private readonly int _type;

    private KernelLoad(ProgramSpec spec)
    {
        _type = spec.Type == ProgramTypes.Raw ? Syscall : spec.Type == ProgramTypes.Xdp ? Xdp : SocketFilter;
        _code = [.. spec.Instructions];
    }

    /// <summary>Makes the maps; null where bpf(2) refuses, or refuses the program.</summary>
    public static KernelLoad? TryCreate(ProgramSpec spec)
    {
        if (!OperatingSystem.IsLinux() || RuntimeInformation.ProcessArchitecture != Architecture.X64) return null;
        var load = new KernelLoad(spec);
        if (load.CreateMaps(spec) && load.TryRun()) return load;
        load.Dispose();
        return null;
    }

    /// <summary>Loads the program (verification and the kernel's JIT) and unloads it.</summary>
    public void Run()
    {
        if (!TryRun()) throw new InvalidOperationException($"BPF_PROG_LOAD: errno {Marshal.GetLastPInvokeError()}");
    }

    public void Dispose()
    {
        foreach (var map in _maps) close(map);
    }

    private bool TryRun()
    {
        var attributes = stackalloc uint[32];
        new Span<uint>(attributes, 32).Clear();
        fixed (Instruction* first = _code)
        fixed (byte* license = "GPL\0"u8)
        {
            attributes[0] = (uint)_type;
            attributes[1] = (uint)_code.Length;
            *(Instruction**)(attributes + 2) = first;
            *(byte**)(attributes + 4) = license;
            attributes[11] = _type == Syscall ? SleepableFlag : 0u;
            var program = (int)syscall(BpfSyscall, ProgramLoad, attributes, 128);
            if (program < 0) return false;
            close(program);
            return true;
        }
    }

    private bool CreateMaps(ProgramSpec spec)
    {
        foreach (var map in spec.Maps)
        {
            var descriptor = Create(map);
            if (descriptor < 0) return false;
            _maps.Add(descriptor);
        }
        for (var slot = 0; slot < _code.Length; slot++)
        {
            if (!_code[slot].IsWide) continue;
            var kind = OpcodeTable.Find(_code[slot])!.Wide;
            if (kind is WideKind.MapIndex or WideKind.MapValueIndex)
                _code[slot] = _code[slot].WithSource(kind == WideKind.MapIndex ? PseudoMapFd : PseudoMapValue).WithImmediate(_maps[_code[slot].Immediate]);
            slot++;
        }
        return true;
    }

    private static int Create(MapSpec map)
    {
        var attributes = stackalloc uint[32];
        new Span<uint>(attributes, 32).Clear();
        attributes[0] = (uint)map.Type;
        attributes[1] = (uint)map.KeySize;
        attributes[2] = (uint)map.ValueSize;
        attributes[3] = (uint)map.MaxEntries;
        attributes[4] = (uint)map.Flags;
        var descriptor = (int)syscall(BpfSyscall, MapCreate, attributes, 128);
        if (descriptor < 0 || map.InitialValue.IsEmpty) return descriptor;
        var value = map.InitialValue.ToArray();
        var key = 0;
        fixed (byte* bytes = value)
        {
            new Span<uint>(attributes, 32).Clear();
            attributes[0] = (uint)descriptor;
            *(int**)(attributes + 2) = &key;
            *(byte**)(attributes + 4) = bytes;
            _ = syscall(BpfSyscall, MapUpdate, attributes, 128);
        }
        if (map.IsFrozen)
        {
            new Span<uint>(attributes, 32).Clear();
            attributes[0] = (uint)descriptor;
            _ = syscall(BpfSyscall, MapFreeze, attributes, 128);
        }
        return descriptor;
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint syscall(nint number, nint command, uint* attributes, nint size);

    [LibraryImport("libc")]
    private static partial int close(int descriptor);
}
