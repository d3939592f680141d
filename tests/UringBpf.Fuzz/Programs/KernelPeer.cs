using System.Runtime.InteropServices;
using System.Text;
using UringBpf.Bytecode;

namespace UringBpf.Fuzz;

/// <summary>
/// The running kernel's verifier and JIT, by bpf(2): the same maps, programs loaded as root, run by BPF_PROG_TEST_RUN. Not
/// thread-safe.
/// </summary>
public sealed unsafe partial class KernelPeer : IDisposable
{
    private const int BpfSyscall = 321, MapCreate = 0, MapLookup = 1, MapUpdate = 2, MapDelete = 3, MapNextKey = 4, ProgramLoad = 5, ProgramTestRun = 10, BtfLoad = 18, MapFreeze = 22;
    private const int SchedulerClassifier = 3, ExpressDataPath = 6, Syscall = 31;
    private const int AttributeBytes = 160, LogBytes = 16 << 20;
    private const uint Sleepable = 1 << 4, ReadOnlyProgram = 1 << 7;

    /// <summary>How much the kernel's verifier says.</summary>
    public enum Log : uint
    {
        /// <summary>Its last words.</summary>
        Words = 4,

        /// <summary>The walk up to where it refuses.</summary>
        Walk = 1,

        /// <summary>The walk of what it accepts too.</summary>
        WholeWalk = 2,
    }

    private const int FunctionTypeId = 3;

    private readonly int[] _maps = new int[Scenery.KernelMaps];
    private readonly uint* _attributes = (uint*)NativeMemory.AllocZeroed(AttributeBytes);
    private readonly byte* _log = (byte*)NativeMemory.Alloc(LogBytes);
    private int _types;

    private KernelPeer()
    {
    }

    /// <summary>Makes the maps; null where bpf(2) is not to be had.</summary>
    public static KernelPeer? TryCreate()
    {
        if (!OperatingSystem.IsLinux() || RuntimeInformation.ProcessArchitecture != Architecture.X64) return null;
        var peer = new KernelPeer();
        if (peer.CreateMaps() && (peer._types = peer.LoadTypes()) >= 0) return peer;
        peer.Dispose();
        return null;
    }

    /// <summary>Loads a program.</summary>
    /// <param name="program">The program.</param>
    /// <param name="log">What the verifier says.</param>
    /// <param name="wanted">How much of that; a walk takes much longer.</param>
    /// <returns>Its descriptor, or -errno.</returns>
    public int Load(GeneratedProgram program, out string log, Log wanted = Log.Words)
    {
        log = "";
        var code = program.Spec.Instructions.ToArray();
        var starts = new SortedSet<int> { 0 };
        for (var slot = 0; slot < code.Length; slot++)
        {
            if (OpcodeTable.Find(code[slot]) is not { } row) continue;
            if (row.Operation == Operation.CallSubprogram || row.Wide == WideKind.Function) starts.Add(slot + 1 + code[slot].Immediate);
            if (row.Wide is WideKind.MapIndex or WideKind.MapValueIndex)
            {
                if ((uint)code[slot].Immediate >= _maps.Length) return -Einval;
                code[slot] = code[slot].WithSource((int)(row.Wide == WideKind.MapIndex ? WideKind.MapFd : WideKind.MapValueFd)).WithImmediate(_maps[code[slot].Immediate]);
            }
            slot += row.Slots - 1;
        }
        var functions = starts.Where(start => start >= 0 && start < code.Length).SelectMany(start => new[] { start, FunctionTypeId }).ToArray();
        Clear();
        var (type, flags) = program.Spec.Type!.Name switch { "xdp" => (ExpressDataPath, 0u), "tc" => (SchedulerClassifier, 0u), _ => (Syscall, Sleepable) };
        fixed (Instruction* first = code)
        fixed (int* function = functions)
        fixed (byte* license = "GPL\0"u8)
        {
            _attributes[0] = (uint)type;
            _attributes[1] = (uint)code.Length;
            *(Instruction**)(_attributes + 2) = first;
            *(byte**)(_attributes + 4) = license;
            _log[0] = 0;
            _attributes[6] = (uint)wanted;
            _attributes[7] = LogBytes;
            *(byte**)(_attributes + 8) = _log;
            _attributes[11] = flags;
            _attributes[18] = (uint)_types;
            _attributes[19] = 8;
            *(int**)(_attributes + 20) = function;
            _attributes[22] = (uint)functions.Length / 2;
            var descriptor = Call(ProgramLoad);
            log = Marshal.PtrToStringUTF8((nint)_log) ?? "";
            return descriptor;
        }
    }

    /// <summary>Runs a program once.</summary>
    /// <param name="descriptor">From <see cref="Load"/>.</param>
    /// <param name="program">The program.</param>
    /// <param name="input">What it starts from.</param>
    /// <param name="expected">What our engines left: the same as <see cref="Stage.State"/> gives.</param>
    /// <returns>What differs, or null.</returns>
    public string? Compare(int descriptor, GeneratedProgram program, ProgramInput input, Stage expected, ulong result)
    {
        SetMaps(input);
        Clear();
        var flat = program.Spec.Type!.Context.IsFlat;
        var packet = (byte[])input.Packet.Clone();
        // The kernel counts the accesses of dead code too, and refuses a context that is too short for those.
        var context = new byte[input.Context.Length + short.MaxValue];
        input.Context.CopyTo(context, 0);
        uint r0;
        fixed (byte* packetStart = packet, contextStart = context)
        {
            _attributes[0] = (uint)descriptor;
            if (flat)
            {
                _attributes[10] = (uint)context.Length;
                *(byte**)(_attributes + 12) = contextStart;
            }
            else
            {
                _attributes[2] = _attributes[3] = (uint)packet.Length;
                *(byte**)(_attributes + 4) = packetStart;
                *(byte**)(_attributes + 6) = packetStart;
            }
            var status = Call(ProgramTestRun);
            if (status < 0) return $"kernel: BPF_PROG_TEST_RUN: errno {-status}";
            r0 = _attributes[1];
        }
        if (r0 != (uint)result) return $"kernel: r0 is 0x{r0:x}, 0x{(uint)result:x} on our engines";
        if (flat && (!context.AsSpan(0, input.Context.Length).SequenceEqual(expected.Context) || context.AsSpan(input.Context.Length).ContainsAnyExcept((byte)0))) return "kernel: the context differs";
        if (!flat && !packet.AsSpan().SequenceEqual(expected.Packet)) return "kernel: the packet differs";
        var value = stackalloc byte[Scenery.GlobalBytes];
        for (ulong cell = 0; cell < Scenery.CellCount; cell++)
        {
            Element(MapLookup, Scenery.Cells, (byte*)&cell, value);
            if (!new Span<byte>(value, Scenery.CellBytes).SequenceEqual(expected.Cells.Slice((int)cell * Scenery.CellBytes, Scenery.CellBytes))) return $"kernel: element {cell} of the array differs";
        }
        ulong key = 0;
        Element(MapLookup, Scenery.Globals, (byte*)&key, value);
        var globals = new Span<byte>(value, Scenery.GlobalBytes);
        if (!globals.SequenceEqual(expected.Globals))
            return $"kernel: the globals differ at byte {globals.CommonPrefixLength(expected.Globals)}: {Convert.ToHexString(globals)}, {Convert.ToHexString(expected.Globals)} on our engines";
        foreach (var (entry, bytes) in expected.Entries())
        {
            key = entry;
            if (Element(MapLookup, Scenery.Table, (byte*)&key, value) < 0) return $"kernel: key 0x{entry:x} is not in the table";
            if (!new Span<byte>(value, Scenery.TableBytes).SequenceEqual(bytes)) return $"kernel: key 0x{entry:x} has another value";
        }
        return Keys().Count == expected.Entries().Count ? null : "kernel: the table has other keys too";
    }

    /// <summary>Closes a program.</summary>
    public static void Close(int descriptor) => _ = close(descriptor);

    /// <inheritdoc />
    public void Dispose()
    {
        foreach (var map in _maps)
        {
            if (map > 0) _ = close(map);
        }
        if (_types > 0) _ = close(_types);
        NativeMemory.Free(_attributes);
        NativeMemory.Free(_log);
    }

    private const int Einval = 22;

    private bool CreateMaps()
    {
        for (var index = 0; index < _maps.Length; index++)
        {
            var spec = Scenery.Maps[index];
            Clear();
            _attributes[0] = (uint)spec.Type;
            _attributes[1] = (uint)spec.KeySize;
            _attributes[2] = (uint)spec.ValueSize;
            _attributes[3] = (uint)spec.MaxEntries;
            _attributes[4] = (uint)spec.Flags | (spec.IsFrozen ? ReadOnlyProgram : 0);
            if ((_maps[index] = Call(MapCreate)) < 0) return false;
            if (!spec.IsFrozen) continue;
            ulong key = 0;
            fixed (byte* value = Scenery.ConstantValue.ToArray()) Element(MapUpdate, index, (byte*)&key, value);
            Clear();
            _attributes[0] = (uint)_maps[index];
            if (Call(MapFreeze) < 0) return false;
        }
        return true;
    }

    // Callbacks need type information: one static function without arguments stands for all.
    private int LoadTypes()
    {
        var strings = "\0int\0f\0"u8;
        uint[] types =
        [
            1, 1 << 24, 4, 1 << 24 | 32, // int
            0, 13 << 24, 1, // int (*)()
            5, 12 << 24, 2, // f
        ];
        uint[] header = [0x0001eb9f, 24, 0, (uint)types.Length * 4, (uint)types.Length * 4, (uint)strings.Length];
        byte[] blob = [.. MemoryMarshal.AsBytes<uint>(header), .. MemoryMarshal.AsBytes<uint>(types), .. strings];
        Clear();
        fixed (byte* start = blob)
        {
            *(byte**)_attributes = start;
            _attributes[4] = (uint)blob.Length;
            return Call(BtfLoad);
        }
    }

    private void SetMaps(ProgramInput input)
    {
        ulong key;
        fixed (byte* cells = input.Cells, globals = input.Globals, table = input.Table)
        {
            for (key = 0; key < Scenery.CellCount; key++) Element(MapUpdate, Scenery.Cells, (byte*)&key, cells + (int)key * Scenery.CellBytes);
            key = 0;
            Element(MapUpdate, Scenery.Globals, (byte*)&key, globals);
            foreach (var old in Keys())
            {
                key = old;
                Element(MapDelete, Scenery.Table, (byte*)&key, null);
            }
            for (key = 0; key < (ulong)(input.Table.Length / Scenery.TableBytes); key++) Element(MapUpdate, Scenery.Table, (byte*)&key, table + (int)key * Scenery.TableBytes);
        }
    }

    private List<ulong> Keys()
    {
        var keys = new List<ulong>();
        ulong key = 0, next = 0;
        byte* from = null;
        while (Element(MapNextKey, Scenery.Table, from, (byte*)&next) >= 0)
        {
            keys.Add(next);
            key = next;
            from = (byte*)&key;
        }
        return keys;
    }

    private int Element(int command, int map, byte* key, byte* value)
    {
        Clear();
        _attributes[0] = (uint)_maps[map];
        *(byte**)(_attributes + 2) = key;
        *(byte**)(_attributes + 4) = value;
        return Call(command);
    }

    private void Clear() => new Span<byte>(_attributes, AttributeBytes).Clear();

    private int Call(int command)
    {
        var result = (int)syscall(BpfSyscall, command, _attributes, AttributeBytes);
        return result >= 0 ? result : -Marshal.GetLastPInvokeError();
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint syscall(nint number, nint command, uint* attributes, nint size);

    [LibraryImport("libc")]
    private static partial int close(int descriptor);
}
