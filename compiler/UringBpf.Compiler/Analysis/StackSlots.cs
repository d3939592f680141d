using UringBpf.Bytecode;

namespace UringBpf.Compiler;

/// <summary>
/// Finds the stack slots that can live in IL locals: those whose every access is at one constant offset with one size,
/// while no pointer that could reach them leaves the function's sight.
/// </summary>
/// <remarks>
/// Stack memory is reached only through r10 and values computed from it. This follows such values through moves and
/// additions; anything else done to one of them (stored, passed to a subprogram, masked…) gives up on the whole frame.
/// A pointer handed to a helper at offset o gives up on the bytes from o up, because helpers only go upwards.
/// </remarks>
internal sealed class StackSlots
{
    private const int Frame = 10;

    // What is known of a value computed from r10: its offset, or that there are several.
    private const long NotStack = long.MaxValue / 2, Varies = long.MinValue / 2;

    private readonly Dictionary<int, int> _sizes;
    private readonly RegisterAssignment? _registers;
    // By local of the assignment, which is the whole function's.
    private readonly long[] _offsets;

    private StackSlots(RegisterAssignment? registers, long[] offsets, Dictionary<int, int> sizes)
    {
        _registers = registers;
        _offsets = offsets;
        _sizes = sizes;
    }

    /// <summary>No slots.</summary>
    public static StackSlots None { get; } = new(null, [], []);

    /// <summary>The offsets of all slots from the frame's top.</summary>
    public IReadOnlyCollection<int> Offsets => _sizes.Keys;

    /// <summary>Some of these slots.</summary>
    public StackSlots Only(Func<int, bool> isIn) => new(_registers, _offsets, _sizes.Where(slot => isIn(slot.Key)).ToDictionary());

    /// <summary>The bytes of the slot at an offset from the frame's top, or 0 when it is memory.</summary>
    public int SizeAt(long offset) => offset is >= -Limits.StackBytesPerFrame and < 0 ? _sizes.GetValueOrDefault((int)offset) : 0;

    /// <summary>The offset from the frame's top that a register has at an instruction; meaningless where it has no single one.</summary>
    public long OffsetOf(int slot, int register) =>
        _sizes.Count == 0 ? NotStack : register == Frame ? 0 : _offsets[_registers!.Use(slot, register)];

    /// <summary>The slots of a function.</summary>
    public static StackSlots Find(ProgramGraph program, FunctionGraph function, RegisterAssignment registers)
    {
        var offsets = FollowPointers(program, function, registers);
        var slots = new StackSlots(registers, offsets, []);
        var inMemory = new bool[Limits.StackBytesPerFrame];
        // Sizes of the accesses at each byte of the frame: their sum has a bit for each.
        var accesses = new int[Limits.StackBytesPerFrame];

        foreach (var block in function.Blocks)
        {
            for (var slot = block.Start; slot < block.End; slot += program.Slots(slot))
            {
                if (!program.IsReached(slot)) break;
                if (!Visit(slot)) return None;
            }
        }

        for (var at = 0; at < accesses.Length; at++)
        {
            var size = accesses[at];
            if (size is not (1 or 2 or 4 or 8) || at % size != 0) continue;
            var apart = true;
            for (var other = Math.Max(0, at - 7); other < at; other++) apart &= other + accesses[other] <= at;
            for (var inside = at + 1; inside < at + size; inside++) apart &= accesses[inside] == 0;
            for (var inside = at; inside < at + size; inside++) apart &= !inMemory[inside];
            if (apart) slots._sizes.Add(at - Limits.StackBytesPerFrame, size);
        }
        return slots;

        long OffsetOf(int slot, int register) => register == Frame ? 0 : offsets[registers.Use(slot, register)];

        void KeepInMemory(long from, long to)
        {
            for (var at = Math.Max(from, -Limits.StackBytesPerFrame); at < Math.Min(to, 0); at++) inMemory[at + Limits.StackBytesPerFrame] = true;
        }

        // False when a stack pointer gets out of sight.
        bool Visit(int slot)
        {
            var row = program.Row(slot);
            ref readonly var instruction = ref program.Instructions.ItemRef(slot);
            if (row.IsMemory)
            {
                var loads = row.Operation is Operation.Load or Operation.LoadSignExtend or Operation.LoadAcquire;
                var address = loads ? instruction.Source : instruction.Destination;
                if (!loads && row.Source == OperandSource.Register && OffsetOf(slot, instruction.Source) != NotStack) return false;
                if (row.Operation == Operation.AtomicCompareExchange && OffsetOf(slot, 0) != NotStack) return false;
                var known = OffsetOf(slot, address);
                if (known == NotStack) return true;
                if (known == Varies)
                {
                    ref readonly var facts = ref program.Facts(slot);
                    if (facts.Region != RegionKind.Stack) return false;
                    KeepInMemory(facts.OffsetMin, facts.OffsetMax + row.AccessBytes);
                    return true;
                }
                var offset = known + instruction.Offset;
                if (offset < -Limits.StackBytesPerFrame || offset + row.AccessBytes > 0) return false;
                if (row.Operation is Operation.Load or Operation.LoadSignExtend or Operation.Store) accesses[(int)offset + Limits.StackBytesPerFrame] |= row.AccessBytes;
                else KeepInMemory(offset, offset + row.AccessBytes);
                return true;
            }

            // An inlined array lookup is a 4-byte load of the key, or none where the key is known.
            if (program.InlinedArray(slot) >= 0)
            {
                var known = OffsetOf(slot, 2);
                if (known == NotStack) return true;
                if (known == Varies || known < -Limits.StackBytesPerFrame || known + 4 > 0) return false;
                if (program.Facts(slot).ConstantKey < 0) accesses[(int)known + Limits.StackBytesPerFrame] |= 4;
                return true;
            }

            // Followed already, or harmless.
            if (row.Operation is Operation.Move or Operation.Add or Operation.Subtract && row.Width == 64) return true;
            if (row.IsJump) return true;
            var reads = program.Reads(slot);
            for (var register = 0; register < RegisterAssignment.Registers; register++)
            {
                if ((reads >> register & 1) == 0) continue;
                // Calls read r10 only to find the callee's frame.
                if (register == Frame) continue;
                var known = OffsetOf(slot, register);
                if (known == NotStack) continue;
                var helper = row.Operation is Operation.CallHelper or Operation.CallKfunc;
                if (!helper || known == Varies || (program.Prototype(slot)!.Traits & Bytecode.FunctionTraits.CallsBack) != 0) return false;
                KeepInMemory(known, 0);
            }
            return true;
        }
    }

    // For each local: NotStack, the one offset it can have, or Varies. Starts at NotStack and only moves on.
    private static long[] FollowPointers(ProgramGraph program, FunctionGraph function, RegisterAssignment registers)
    {
        var offsets = new long[registers.Count];
        for (var i = 0; i < offsets.Length; i++) offsets[i] = NotStack;
        // A register that holds anything else beside (an argument, a load) has an unknown offset too once it holds a stack pointer.
        var others = new bool[registers.Count];
        for (var register = 0; register < Frame; register++)
        {
            if (registers.AtStart(function.Blocks[0], register) is >= 0 and var web) others[web] = true;
        }
        var changed = true;
        while (changed)
        {
            changed = false;
            foreach (var block in function.Blocks)
            {
                for (var slot = block.Start; slot < block.End; slot += program.Slots(slot))
                {
                    var writes = program.Writes(slot);
                    for (var register = 0; register < Frame; register++)
                    {
                        if ((writes >> register & 1) == 0) continue;
                        var web = registers.Definition(slot, register);
                        var result = Result(slot);
                        if (result == NotStack) others[web] = true;
                        var merged = result == NotStack ? offsets[web]
                            : offsets[web] == NotStack || offsets[web] == result ? result : Varies;
                        if (merged != NotStack && others[web]) merged = Varies;
                        if (merged == offsets[web]) continue;
                        offsets[web] = merged;
                        changed = true;
                    }
                }
            }
        }
        return offsets;

        long Result(int slot)
        {
            var row = program.Row(slot);
            ref readonly var instruction = ref program.Instructions.ItemRef(slot);
            if (row.Width != 64 || !row.IsArithmetic) return NotStack;
            if (row.Operation == Operation.Move)
                return row.Source == OperandSource.Register ? At(slot, instruction.Source) : NotStack;
            if (row.Operation is not (Operation.Add or Operation.Subtract)) return NotStack;
            var left = At(slot, instruction.Destination);
            if (row.Source == OperandSource.Register)
                return left == NotStack && At(slot, instruction.Source) == NotStack ? NotStack : Varies;
            if (left is NotStack or Varies) return left;
            return row.Operation == Operation.Add ? left + instruction.Immediate : left - instruction.Immediate;
        }

        long At(int slot, int register) => register == Frame ? 0 : offsets[registers.Use(slot, register)];
    }
}
