using System.Numerics;
using UringBpf.Bytecode;

namespace UringBpf.Compiler;

/// <summary>
/// Which IL local holds a register at each instruction. Straight: one per register. Split: one per live range (a web of
/// definitions that reach common uses), so that RyuJIT sees short-lived values instead of ten busy variables.
/// </summary>
internal sealed class RegisterAssignment
{
    public const int Registers = 11;

    private const int Frame = 10;

    // Places count from the first slot and block assigned here: a region of a long function has tables of its own length.
    private readonly int _start, _firstBlock;
    private readonly int[]? _uses;
    private readonly int[]? _definitions;
    private readonly int[]? _blockStarts;
    private readonly int[]? _blockEnds;
    private string[]? _names;

    private RegisterAssignment(int start, int firstBlock, int count, int[]? uses, int[]? definitions, int[]? blockStarts, int[]? blockEnds, bool[] narrow, bool[] zeroUpper)
    {
        _start = start;
        _firstBlock = firstBlock;
        Count = count;
        _uses = uses;
        _definitions = definitions;
        _blockStarts = blockStarts;
        _blockEnds = blockEnds;
        Narrow = narrow;
        ZeroUpper = zeroUpper;
    }

    /// <summary>Number of locals.</summary>
    public int Count { get; }

    /// <summary>Locals that are 32 bits wide: the value is their zero extension.</summary>
    public bool[] Narrow { get; }

    /// <summary>Locals in whose upper halves is never anything but zero.</summary>
    public bool[] ZeroUpper { get; }

    /// <summary>The local an instruction reads a register from.</summary>
    public int Use(int slot, int register) => _uses is null ? register : _uses[(slot - _start) * Registers + register];

    /// <summary>The local an instruction writes a register to.</summary>
    public int Definition(int slot, int register) => _definitions is null ? register : _definitions[(slot - _start) * Registers + register];

    /// <summary>The local that holds a register when a block is entered, or -1 when it is not live there.</summary>
    public int AtStart(BasicBlock block, int register) => _blockStarts is null ? register : _blockStarts[(block.Index - _firstBlock) * Registers + register];

    /// <summary>The local that holds a register when a block is left, or -1 when it holds nothing.</summary>
    public int AtEnd(BasicBlock block, int register) => _blockEnds is null ? register : _blockEnds[(block.Index - _firstBlock) * Registers + register];

    /// <summary>What dumps call a local: the register, and which of its live ranges.</summary>
    public string Name(int local) => _uses is null ? $"r{local}" : (_names ??= Names())[local];

    /// <summary>One local per register.</summary>
    public static RegisterAssignment Straight() => new(0, 0, Registers, null, null, null, null, new bool[Registers], new bool[Registers]);

    /// <summary>One local per live range within consecutive blocks of a function.</summary>
    public static RegisterAssignment Split(ProgramGraph program, IReadOnlyList<BasicBlock> blocks, bool narrow) =>
        new Splitter(program, blocks).Run(narrow);

    private string[] Names()
    {
        var names = new string[Count];
        var ranges = new int[Registers];
        void Name(int local, int register)
        {
            if (local >= 0) names[local] ??= ranges[register]++ == 0 ? $"r{register}" : $"r{register}.{ranges[register]}";
        }
        for (var register = 0; register < Registers; register++) Name(_blockStarts![register], register);
        for (var i = 0; i < _uses!.Length; i++)
        {
            Name(_uses[i], i % Registers);
            Name(_definitions![i], i % Registers);
        }
        // A register may only pass through.
        for (var i = 0; i < _blockStarts!.Length; i++) Name(_blockStarts[i], i % Registers);
        return names;
    }

    private sealed class Splitter(ProgramGraph program, IReadOnlyList<BasicBlock> blocks)
    {
        private readonly int _start = blocks[0].Start;
        private readonly int _firstBlock = blocks[0].Index;
        private int[] _parent = [];
        private int _nodes;

        public RegisterAssignment Run(bool narrow)
        {
            var length = blocks[^1].End - _start;
            var uses = new int[length * Registers];
            var definitions = new int[length * Registers];
            // A loop is compiled ahead of time, filling a span is not.
            for (var i = 0; i < uses.Length; i++) uses[i] = definitions[i] = -1;
            // A node for each register that is live into a block; one for each definition, of which an instruction makes one.
            _parent = new int[blocks.Count * Registers + length];

            var atStart = new int[blocks.Count * Registers];
            var atEnd = new int[blocks.Count * Registers];
            for (var block = 0; block < blocks.Count; block++)
            {
                for (var register = 0; register < Registers; register++)
                    atStart[block * Registers + register] = (blocks[block].LiveIn >> register & 1) != 0 ? NewNode() : -1;
            }
            for (var index = 0; index < blocks.Count; index++)
            {
                var block = blocks[index];
                var current = atEnd.AsSpan(index * Registers, Registers);
                atStart.AsSpan(index * Registers, Registers).CopyTo(current);
                for (var slot = block.Start; slot < block.End; slot += program.Slots(slot))
                {
                    var at = (slot - _start) * Registers;
                    for (var reads = program.Reads(slot); reads != 0; reads &= reads - 1)
                    {
                        var register = BitOperations.TrailingZeroCount(reads);
                        uses[at + register] = current[register];
                    }
                    for (var writes = program.Writes(slot); writes != 0; writes &= writes - 1)
                    {
                        var register = BitOperations.TrailingZeroCount(writes);
                        current[register] = definitions[at + register] = NewNode();
                    }
                }
            }
            for (var index = 0; index < blocks.Count; index++)
            {
                foreach (var next in blocks[index].Successors)
                {
                    if (!IsInside(next)) continue;
                    for (var live = next.LiveIn; live != 0; live &= live - 1)
                    {
                        var register = BitOperations.TrailingZeroCount(live);
                        // It is -1 only for a register that is not live here either: unreached by the verifier's account.
                        var leaving = atEnd[index * Registers + register];
                        if (leaving >= 0) Union(atStart[(next.Index - _firstBlock) * Registers + register], leaving);
                    }
                }
            }

            var count = Number(uses, definitions, atStart, atEnd);
            var assignment = new RegisterAssignment(_start, _firstBlock, count, uses, definitions, atStart, atEnd, new bool[count], new bool[count]);
            if (narrow) FindNarrow(assignment);
            return assignment;
        }

        // Replaces nodes by the numbers of their webs; gives how many webs there are.
        private int Number(int[] uses, int[] definitions, int[] atStart, int[] atEnd)
        {
            var numbers = new int[_nodes];
            for (var i = 0; i < numbers.Length; i++) numbers[i] = -1;
            var count = 0;
            for (var i = 0; i < uses.Length; i++)
            {
                NumberOne(ref uses[i]);
                NumberOne(ref definitions[i]);
            }
            for (var i = 0; i < atStart.Length; i++)
            {
                NumberOne(ref atStart[i]);
                NumberOne(ref atEnd[i]);
            }
            return count;

            void NumberOne(ref int node)
            {
                if (node < 0) return;
                ref var number = ref numbers[Find(node)];
                if (number < 0) number = count++;
                node = number;
            }
        }

        private bool IsInside(BasicBlock block) => (uint)(block.Index - _firstBlock) < (uint)blocks.Count;

        // A web is 32 bits wide when nothing but zero is ever in its upper half, or nobody reads that half, and more
        // uses want 32 bits than 64.
        private void FindNarrow(RegisterAssignment assignment)
        {
            var zeroUpper = assignment.ZeroUpper;
            for (var i = 0; i < zeroUpper.Length; i++) zeroUpper[i] = true;
            var uses32 = new int[assignment.Count];
            var uses64 = new int[assignment.Count];
            // What comes from outside or goes there has 64 bits.
            foreach (var block in blocks)
            {
                var enters = block.Index == 0;
                foreach (var from in block.Predecessors) enters |= !IsInside(from);
                var leaves = 0;
                foreach (var next in block.Successors) leaves |= IsInside(next) ? 0 : next.LiveIn;
                for (var register = 0; register < Registers; register++)
                {
                    if (enters && assignment.AtStart(block, register) is >= 0 and var entering) zeroUpper[entering] = false;
                    if ((leaves >> register & 1) != 0 && assignment.AtEnd(block, register) is >= 0 and var leaving) uses64[leaving]++;
                }
            }

            // The definitions that may put something into upper halves, and the 64-bit moves, are looked at again and again.
            var (wide, moves) = (new List<int>(), new List<int>());
            foreach (var block in blocks)
            {
                for (var slot = block.Start; slot < block.End; slot += program.Slots(slot))
                {
                    var row = program.Row(slot);
                    var moves64 = row.Operation == Operation.Move && row.Width == 64 && row.Source == OperandSource.Register;
                    if (moves64 && program.Reads(slot) != 0) moves.Add(slot);
                    for (var reads = program.Reads(slot) & ~(1 << Frame); reads != 0 && !moves64; reads &= reads - 1)
                    {
                        var register = BitOperations.TrailingZeroCount(reads);
                        if (Wants32(slot, register)) uses32[assignment.Use(slot, register)]++;
                        else uses64[assignment.Use(slot, register)]++;
                    }
                    if (program.Writes(slot) != 0 && !(row.IsArithmetic && row.Width == 32)) wide.Add(slot);
                }
            }
            var changed = true;
            while (changed)
            {
                changed = false;
                foreach (var slot in wide)
                {
                    if (MakesZeroUpper(slot, assignment, zeroUpper)) continue;
                    for (var writes = program.Writes(slot); writes != 0; writes &= writes - 1)
                    {
                        var web = assignment.Definition(slot, BitOperations.TrailingZeroCount(writes));
                        changed |= zeroUpper[web];
                        zeroUpper[web] = false;
                    }
                }
            }
            // A 64-bit move passes on what its target's readers want.
            var upperRead = new bool[assignment.Count];
            for (var web = 0; web < assignment.Count; web++) upperRead[web] = uses64[web] > 0;
            changed = true;
            while (changed)
            {
                changed = false;
                foreach (var slot in moves)
                {
                    ref readonly var instruction = ref program.Instructions.ItemRef(slot);
                    if (instruction.Source == Frame) continue;
                    var from = assignment.Use(slot, instruction.Source);
                    if (upperRead[from] || !upperRead[assignment.Definition(slot, instruction.Destination)]) continue;
                    upperRead[from] = changed = true;
                }
            }
            for (var web = 0; web < assignment.Count; web++)
                assignment.Narrow[web] = !upperRead[web] || (zeroUpper[web] && uses32[web] > uses64[web]);
        }

        // True when the instruction reads only the low half of the register.
        private bool Wants32(int slot, int register)
        {
            var row = program.Row(slot);
            ref readonly var instruction = ref program.Instructions.ItemRef(slot);
            if (row.IsArithmetic)
            {
                if (row.Operation == Operation.And && row.Source == OperandSource.Immediate && instruction.Immediate >= 0) return true;
                return row.Operation is Operation.ToLittleEndian or Operation.ToBigEndian or Operation.ByteSwap or Operation.MoveSignExtend
                    ? row.Bits <= 32
                    : row.Width == 32 || (row.Operation is Operation.ShiftLeft or Operation.ShiftRight or Operation.ShiftRightArithmetic
                        && register == instruction.Source && register != instruction.Destination && row.Source == OperandSource.Register);
            }
            if (row.IsConditionalJump) return row.Width == 32;
            if (row.Operation is Operation.Store or Operation.StoreRelease)
                return row.Bits <= 32 && row.Source == OperandSource.Register && register == instruction.Source && register != instruction.Destination;
            return false;
        }

        private bool MakesZeroUpper(int slot, RegisterAssignment assignment, bool[] zeroUpper)
        {
            var row = program.Row(slot);
            ref readonly var instruction = ref program.Instructions.ItemRef(slot);
            if (row.IsArithmetic && row.Width == 32) return true;
            return row.Operation switch
            {
                Operation.Load or Operation.LoadAcquire => row.Bits <= 32 && !program.IsTranslatedPointer(slot),
                Operation.ToLittleEndian or Operation.ToBigEndian or Operation.ByteSwap => row.Bits <= 32,
                Operation.Move => row.Source == OperandSource.Immediate ? instruction.Immediate >= 0 : instruction.Source != Frame && zeroUpper[assignment.Use(slot, instruction.Source)],
                Operation.And => row.Source == OperandSource.Immediate && instruction.Immediate >= 0,
                Operation.ShiftRight => row.Source == OperandSource.Immediate && (instruction.Immediate & 63) >= 32,
                Operation.LoadPacketAbsolute or Operation.LoadPacketIndirect => true,
                _ => false,
            };
        }

        private int NewNode() => _parent[_nodes] = _nodes++;

        private int Find(int node)
        {
            while (_parent[node] != node) node = _parent[node] = _parent[_parent[node]];
            return node;
        }

        private void Union(int a, int b) => _parent[Find(a)] = Find(b);
    }
}
