using System.Runtime.CompilerServices;
using UringBpf.Bytecode;

namespace UringBpf.Verifier;

/// <summary>
/// Which registers may point into the running function's own stack, and where: constants computed from r10, followed
/// forward through each function.
/// </summary>
internal sealed class StackPointers
{
    private const short None = short.MinValue, Anywhere = short.MaxValue;

    private readonly ProgramSpec _spec;
    private readonly ProgramShape _shape;

    // Offsets before each instruction.
    private readonly Block<Offsets> _before;

    // Per function: some stack pointer is in memory or was handed to another function, so loads may bring one back.
    private readonly bool[] _escapes;

    public StackPointers(ProgramSpec spec, ProgramShape shape, Workspace workspace)
    {
        _spec = spec;
        _shape = shape;
        _before = workspace.Take<Offsets>(shape.Count);
        _escapes = new bool[shape.Functions.Length];
        for (var index = 0; index < shape.Functions.Length; index++)
        {
            Solve(shape.Functions[index], index);
            if (_escapes[index]) Solve(shape.Functions[index], index);
        }
    }

    public bool IsStack(int slot, int register) => OffsetOf(slot, register) != None;

    /// <summary>The stack slots an access may touch.</summary>
    public ulong Touches(int slot, int register, int displacement, int size)
    {
        var offset = OffsetOf(slot, register);
        return offset == None ? 0 : offset == Anywhere ? ulong.MaxValue : Slots(offset + displacement, size);
    }

    /// <summary>The stack slots a store certainly replaces.</summary>
    public ulong Overwrites(int slot, int register, int displacement, int size)
    {
        var offset = OffsetOf(slot, register);
        return offset is None or Anywhere || size != 8 || (offset + displacement) % 8 != 0 ? 0 : Slots(offset + displacement, size);
    }

    private int OffsetOf(int slot, int register) => register == 10 ? 0 : _before[slot] is { IsReached: true } offsets ? offsets[register] : None;

    private static ulong Slots(int offset, int size)
    {
        var low = Math.Max(offset, -Limits.StackBytesPerFrame);
        var high = Math.Min(offset + size, 0);
        if (low >= high) return 0;
        int first = -high / 8, last = (-low - 1) / 8;
        return (ulong.MaxValue >> (63 - last)) & (ulong.MaxValue << first);
    }

    private void Solve(Subprogram function, int index)
    {
        _before.Span.Slice(function.Start, function.Length).Clear();
        var entry = new Offsets { IsReached = true };
        for (var register = 0; register < Offsets.Count; register++) entry[register] = None;
        _before[function.Start] = entry;
        var pending = new Pile<int>();
        pending.Push(function.Start);
        while (pending.TryPop(out var slot))
        {
            while (true)
            {
                var offsets = _before[slot];
                Step(slot, index, ref offsets);
                var (first, second) = _shape.Successors(slot);
                if (second >= 0) Merge(second, offsets);
                if (first < 0) break;
                if (!Merge(first, offsets, follow: true)) break;
                slot = first;
            }
        }

        bool Merge(int target, in Offsets offsets, bool follow = false)
        {
            ref var known = ref _before[target];
            if (!known.IsReached)
            {
                known = offsets;
                if (!follow) pending.Push(target);
                return true;
            }
            var changed = false;
            for (var register = 0; register < Offsets.Count; register++)
            {
                if (known[register] == offsets[register] || known[register] == Anywhere) continue;
                known[register] = Anywhere;
                changed = true;
            }
            if (changed && !follow) pending.Push(target);
            return changed;
        }
    }

    // The offsets after an instruction, in place of those before it.
    private void Step(int slot, int function, ref Offsets offsets)
    {
        var row = _shape.Row(slot);
        ref readonly var instruction = ref _spec.Instructions.ItemRef(slot);
        if (row.IsArithmetic)
        {
            var dst = instruction.Destination;
            if (dst == Frame.Pointer) return; // Refused when it is reached.
            var left = offsets[dst];
            var right = row.Source != OperandSource.Register ? None : instruction.Source == 10 ? 0 : offsets[instruction.Source];
            offsets[dst] = row.Operation switch
            {
                Operation.Move => row.Source == OperandSource.Register ? (short)right : None,
                Operation.Add when row.Source == OperandSource.Immediate && left is not (None or Anywhere) => Shift(left, instruction.Immediate),
                Operation.Subtract when row.Source == OperandSource.Immediate && left is not (None or Anywhere) => Shift(left, -(long)instruction.Immediate),
                _ => left == None && right == None ? None : Anywhere,
            };
            return;
        }
        if (row.Operation is Operation.Store or Operation.StoreRelease && row.Source == OperandSource.Register && Holds(instruction.Source, offsets))
            _escapes[function] = true;
        if (row.IsCall)
        {
            var own = row.Operation is Operation.CallSubprogram or Operation.CallRegister
                || (_spec.Functions.Find(row, instruction)?.Traits & FunctionTraits.CallsBack) != 0;
            var passed = false;
            for (var register = 1; register <= 5; register++) passed |= Holds(register, offsets);
            if (own && passed) _escapes[function] = true;
            for (var register = 0; register <= 5; register++) offsets[register] = register == 0 && own && passed ? Anywhere : None;
            return;
        }
        var (_, writes) = Uses.Of(row, instruction, _spec);
        var loads = row.IsMemory && _escapes[function];
        for (var register = 0; register < Offsets.Count; register++)
        {
            if ((writes >> register & 1) != 0) offsets[register] = loads ? Anywhere : None;
        }
    }

    private static bool Holds(int register, in Offsets offsets) => register == 10 || offsets[register] != None;

    private static short Shift(int offset, long by) => Math.Abs(offset + by) <= 4 * Limits.StackBytesPerFrame ? (short)(offset + by) : Anywhere;

    // Of r0..r9, and whether the instruction was reached at all.
    [InlineArray(Count + 2)]
    private struct Offsets
    {
        public const int Count = 10;

        private short _first;

        public bool IsReached
        {
            readonly get => this[Count] != 0;
            init => this[Count] = value ? (short)1 : (short)0;
        }
    }
}
