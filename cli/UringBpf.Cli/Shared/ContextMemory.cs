using System.Runtime.InteropServices;
using UringBpf.Bytecode;
using UringBpf.Runtime;

namespace UringBpf.Cli;

/// <summary>
/// What a program gets in r1 when it is run on the bytes of a file. Flat contexts are the bytes; a packet program gets a
/// context that points to them; a completion hook one that says an operation has moved them.
/// </summary>
internal sealed unsafe class ContextMemory : IDisposable
{
    // IORING_OP_READ: what a completion that has moved bytes was.
    private const uint ReadOperation = 22;

    private readonly ulong _length;
    private readonly byte* _bytes;
    private readonly byte* _context;
    private readonly ulong _contextLength;
    private readonly bool _hasPacket;

    public ContextMemory(ProgramType type, ReadOnlySpan<byte> bytes)
    {
        const nuint alignment = 64;
        var layout = type.Context;
        var fields = layout.Fields;
        _hasPacket = fields.Any(field => field.Kind == ContextFieldKind.BufferStart) || type.HasPacket;
        // A struct without a buffer, such as a submission, is given as it lies in memory.
        var held = layout.IsFlat || _hasPacket ? bytes.Length : Math.Max(bytes.Length, layout.HostSize);
        _length = (ulong)held;
        _bytes = Allocate(held, alignment);
        bytes.CopyTo(new Span<byte>(_bytes, held));
        _context = _hasPacket ? Allocate(layout.HostSize, alignment) : _bytes;
        _contextLength = _hasPacket ? (ulong)layout.HostSize : _length;
        if (!_hasPacket) return;
        foreach (var field in fields)
        {
            switch (field)
            {
                case { Kind: ContextFieldKind.BufferStart }: *(byte**)(_context + field.HostOffset) = _bytes; break;
                case { Kind: ContextFieldKind.BufferEnd }: *(byte**)(_context + field.HostOffset) = _bytes + held; break;
                case { Name: "len" or "res" }: *(int*)(_context + field.HostOffset) = held; break;
                case { Name: "opcode" }: *(uint*)(_context + field.HostOffset) = ReadOperation; break;
            }
        }
    }

    /// <summary>The bytes of the file, as the runs left them.</summary>
    public ReadOnlySpan<byte> Bytes => new(_bytes, (int)_length);

    /// <summary>What r1 points to.</summary>
    public Span<byte> Context => new(_context, (int)_contextLength);

    /// <summary>Runs a program so many times, each on the context the run before left.</summary>
    /// <returns>r0 of the last run.</returns>
    /// <exception cref="BpfException">UB4001 when a metered program used up its budget.</exception>
    public ulong Run(BpfProgram program, long runs)
    {
        var entry = program.EntryPoint;
        var self = program.Self;
        var state = ExecutionSlot.Current;
        ulong result = 0;
        for (var run = 0L; run < runs; run++)
        {
            state->Reset(program.InstructionBudget);
            state->Context = _context;
            state->ContextLength = _contextLength;
            state->Packet = _hasPacket ? _bytes : null;
            state->PacketLength = _hasPacket ? _length : 0;
            result = entry(self, _context, _contextLength, state);
            state->Leave();
            if (state->Fault != RunFault.None)
                throw new BpfException("UB4001", $"{program.Name}: the run used up its budget of {program.InstructionBudget} instructions.");
        }
        GC.KeepAlive(program);
        return result;
    }

    public void Dispose()
    {
        if (_context != _bytes) NativeMemory.AlignedFree(_context);
        NativeMemory.AlignedFree(_bytes);
    }

    private static byte* Allocate(int bytes, nuint alignment)
    {
        var memory = (byte*)NativeMemory.AlignedAlloc((nuint)Math.Max(bytes, 1), alignment);
        NativeMemory.Clear(memory, (nuint)bytes);
        return memory;
    }
}
