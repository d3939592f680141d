using System.Runtime.InteropServices;
using UringBpf.Bytecode;
using UringBpf.Runtime;

namespace UringBpf.Fuzz;

/// <summary>
/// The memory that programs run on: one set of maps, one context and one packet, at the same addresses for every engine.
/// Not thread-safe.
/// </summary>
public sealed unsafe class Stage : IDisposable
{
    private const int ContextRoom = 64 + Limits.PathBytes, StateBytes = 8 + ContextRoom + Scenery.PacketMax + Scenery.CellBytes * Scenery.CellCount + Scenery.GlobalBytes + Scenery.ConstantBytes + (8 + Scenery.TableBytes) * Scenery.TableCount;

    // What the clocks say, and where random numbers begin.
    private const long Now = 1_700_000_123_456_789;
    private const ulong RandomSeed = 88172645463325252;

    private readonly byte* _context = (byte*)NativeMemory.AlignedAlloc(ContextRoom, 64);
    private readonly byte* _packet = (byte*)NativeMemory.AlignedAlloc(Scenery.PacketMax + 64, 64);
    private readonly KeyedMap _table;
    private readonly List<(ulong Key, byte[] Value)> _entries = [];
    private readonly MoreMaps _more;
    private bool _usesMore;
    private int _contextLength;
    private int _packetLength;

    /// <summary>Makes the maps.</summary>
    public Stage()
    {
        Maps = MapSet.Create(Scenery.AllMaps);
        _more = new MoreMaps(Maps);
        _table = (KeyedMap)Maps[Scenery.Maps[Scenery.Table]];
    }

    /// <summary>The maps of <see cref="Scenery.AllMaps"/>.</summary>
    public MapSet Maps { get; }

    /// <summary>The maps that a spec stands for: one, or any of the inner ones.</summary>
    internal IEnumerable<BpfMap> Standing(MapSpec spec) => Maps.All.Any(map => map.Spec == spec) ? [Maps[spec]] : _more.Inner;

    /// <summary>What r1 points to.</summary>
    public Span<byte> Context => new(_context, _contextLength);

    /// <summary>Its address.</summary>
    public ulong ContextAddress => (ulong)_context;

    /// <summary>The packet's address.</summary>
    public ulong PacketAddress => (ulong)_packet;

    /// <summary>The packet's length.</summary>
    public int PacketLength => _packetLength;

    /// <summary>The packet as the last run left it.</summary>
    public ReadOnlySpan<byte> Packet => new(_packet, _packetLength);

    /// <summary>The array's values as the last run left them.</summary>
    public ReadOnlySpan<byte> Cells => Values(Scenery.Cells, Scenery.CellBytes * Scenery.CellCount);

    /// <summary>The globals as the last run left them.</summary>
    public ReadOnlySpan<byte> Globals => Values(Scenery.Globals, Scenery.GlobalBytes);

    /// <summary>Puts everything into the state that an input says.</summary>
    public void Set(GeneratedProgram program, ProgramInput input)
    {
        var type = program.Spec.Type!;
        var layout = type.Context;
        _contextLength = layout.IsFlat ? input.Context.Length : layout.HostSize;
        new Span<byte>(_context, ContextRoom).Clear();
        input.Context.CopyTo(new Span<byte>(_context, ContextRoom));
        _packetLength = input.Packet.Length;
        input.Packet.CopyTo(new Span<byte>(_packet, Scenery.PacketMax));
        foreach (var field in layout.Fields)
        {
            if (field.Kind == ContextFieldKind.BufferStart) *(byte**)(_context + field.HostOffset) = _packet;
            if (field.Kind == ContextFieldKind.BufferEnd) *(byte**)(_context + field.HostOffset) = _packet + _packetLength;
        }
        if (type.HasPacket) ((byte**)_context)[0] = _packet;
        if (type.HasPacket) ((byte**)_context)[1] = _packet + _packetLength;
        input.Cells.CopyTo(Values(Scenery.Cells, input.Cells.Length));
        input.Globals.CopyTo(Values(Scenery.Globals, input.Globals.Length));
        // As new: which element a new key gets must not depend on what ran before, since programs may keep pointers to values
        // of keys that they deleted.
        var header = _table.Header;
        NativeMemory.Clear(header->Data, (nuint)HashTable.SizeOf(_table.Spec));
        HashTable.Initialize((HashTable*)header->Data, _table.Spec);
        for (ulong key = 0; key < (ulong)(input.Table.Length / Scenery.TableBytes); key++)
            _table.Update(MemoryMarshal.AsBytes(new ReadOnlySpan<ulong>(in key)), input.Table.AsSpan((int)key * Scenery.TableBytes, Scenery.TableBytes));
        // As new too: a run that was given up may have left a record that nobody submits, which would hold up all that follow.
        var ring = (RingBufferOps.Buffer*)Maps[Scenery.Maps[Scenery.Ring]].Header->Data;
        ring->Producer = ring->Consumer = 0;
        _usesMore = !program.ForKernel;
        if (!_usesMore) return;
        _more.Reset();
        ListeningHost.Reset();
        var state = ExecutionSlot.Current;
        state->Host = ListeningHost.Host;
        state->RandomState = RandomSeed;
        VirtualClock.Set(Now);
    }

    /// <summary>Runs a program, with as many rounds of may_goto as the checked interpreter has within <see cref="EngineCheck.Budget"/>.</summary>
    /// <returns>r0.</returns>
    /// <exception cref="InvalidOperationException">It used up its budget.</exception>
    public ulong Run(BpfProgram program)
    {
        var state = ExecutionSlot.Current;
        state->Reset(program.InstructionBudget);
        state->LoopRounds = (int)(EngineCheck.Budget / Limits.InstructionsPerMayGoto);
        state->SetContext(program.Verified.Type, _context, (ulong)_contextLength);
        var result = program.EntryPoint(program.Self, _context, (ulong)_contextLength, state);
        state->Leave();
        GC.KeepAlive(program);
        return state->Fault == RunFault.None ? result : throw new InvalidOperationException($"{program.Engine} used up its budget of {program.InstructionBudget} instructions.");
    }

    /// <summary>r0 and everything the program can have changed.</summary>
    public byte[] State(ulong result)
    {
        var state = new byte[StateBytes + (_usesMore ? sizeof(ulong) + ListeningHost.Given.Length + _more.Bytes : 0)];
        var used = sizeof(ulong);
        MemoryMarshal.Write(state, in result);
        Put(Context);
        Put(Packet);
        Put(Cells);
        Put(Globals);
        Put(Values(Scenery.Constants, Scenery.ConstantBytes));
        foreach (var (key, value) in Entries())
        {
            Put(MemoryMarshal.AsBytes(new ReadOnlySpan<ulong>(in key)));
            Put(value);
        }
        if (_usesMore)
        {
            var heard = ListeningHost.Heard;
            Put(MemoryMarshal.AsBytes(new ReadOnlySpan<ulong>(in heard)));
            Put(ListeningHost.Given);
            _more.Put(state.AsSpan(used));
            used += _more.Bytes;
        }
        return state[..used];

        void Put(ReadOnlySpan<byte> bytes)
        {
            bytes.CopyTo(state.AsSpan(used));
            used += bytes.Length;
        }
    }

    /// <summary>The table's entries in the order of their keys. The list is used again.</summary>
    public IReadOnlyList<(ulong Key, byte[] Value)> Entries()
    {
        _entries.Clear();
        var cursor = default(MapCursor);
        ulong key = 0;
        var value = new byte[Scenery.TableBytes];
        while (_table.MoveNext(ref cursor, MemoryMarshal.AsBytes(new Span<ulong>(ref key)), value)) _entries.Add((key, (byte[])value.Clone()));
        _entries.Sort((a, b) => a.Key.CompareTo(b.Key));
        return _entries;
    }

    /// <inheritdoc />
    public void Dispose()
    {
        VirtualClock.Stop();
        ExecutionSlot.Current->Host = null;
        _more.Dispose();
        Maps.Dispose();
        NativeMemory.AlignedFree(_context);
        NativeMemory.AlignedFree(_packet);
    }

    private Span<byte> Values(int map, int bytes) => new(Maps[Scenery.Maps[map]].Header->Data, bytes);
}
