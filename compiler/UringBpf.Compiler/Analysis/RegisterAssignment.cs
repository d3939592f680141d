using UringBpf.Bytecode;

namespace UringBpf.Compiler;

/// <summary>
/// Which IL local holds a register at each instruction. Straight: one per register. Split: one per live range (a web of
/// definitions that reach common uses), so that RyuJIT sees short-lived values instead of ten busy variables.
/// </summary>
internal sealed class RegisterAssignment
{
    public const int Registers = 11;

    private readonly int _start;
    private readonly int[]? _uses;
    private readonly int[]? _definitions;
    private readonly int[,]? _blockStarts;
    private readonly int[,]? _blockEnds;
    private readonly string[]? _names;

    private RegisterAssignment(int start, int count, int[]? uses, int[]? definitions, int[,]? blockStarts, int[,]? blockEnds, string[]? names, bool[] narrow)
    {
        _names = names;
        _start = start;
        Count = count;
        _uses = uses;
        _definitions = definitions;
        _blockStarts = blockStarts;
        _blockEnds = blockEnds;
        Narrow = narrow;
    }

    /// <summary>Number of locals.</summary>
    public int Count { get; }

    /// <summary>Locals that are 32 bits wide: the value is their zero extension.</summary>
    public bool[] Narrow { get; }

    /// <summary>The local an instruction reads a register from.</summary>
    public int Use(int slot, int register) => _uses is null ? register : _uses[(slot - _start) * Registers + register];

    /// <summary>The local an instruction writes a register to.</summary>
    public int Definition(int slot, int register) => _definitions is null ? register : _definitions[(slot - _start) * Registers + register];

    /// <summary>The local that holds a register when a block is entered, or -1 when it is not live there.</summary>
    public int AtStart(BasicBlock block, int register) => _blockStarts is null ? register : _blockStarts[block.Index, register];

    /// <summary>The local that holds a register when a block is left, or -1 when it holds nothing.</summary>
    public int AtEnd(BasicBlock block, int register) => _blockEnds is null ? register : _blockEnds[block.Index, register];

    /// <summary>What dumps call a local: the register, and which of its live ranges.</summary>
    public string Name(int local) => _names?[local] ?? $"r{local}";

    /// <summary>One local per register.</summary>
    public static RegisterAssignment Straight() => new(0, Registers, null, null, null, null, null, new bool[Registers]);

    /// <summary>One local per live range within some blocks of a function.</summary>
    public static RegisterAssignment Split(ProgramGraph program, FunctionGraph function, IReadOnlyList<BasicBlock> blocks, bool narrow) =>
        new Splitter(program, function, blocks).Run(narrow);

    private sealed class Splitter(ProgramGraph program, FunctionGraph function, IReadOnlyList<BasicBlock> blocks)
    {
        private readonly HashSet<BasicBlock> _inside = [.. blocks];
        private readonly int _start = function.Function.Start;
        private readonly List<int> _parent = [];

        public RegisterAssignment Run(bool narrow)
        {
            var length = function.Function.Length;
            var uses = new int[length * Registers];
            var definitions = new int[length * Registers];
            Array.Fill(uses, -1);
            Array.Fill(definitions, -1);

            // A node for each register that is live into a block; one for each definition.
            var atStart = new int[function.Blocks.Count, Registers];
            var atEnd = new int[function.Blocks.Count, Registers];
            foreach (var block in blocks)
            {
                for (var register = 0; register < Registers; register++)
                    atStart[block.Index, register] = (block.LiveIn >> register & 1) != 0 ? NewNode() : -1;
            }
            foreach (var block in blocks)
            {
                var current = new int[Registers];
                for (var register = 0; register < Registers; register++) current[register] = atStart[block.Index, register];
                for (var slot = block.Start; slot < block.End; slot += program.Slots(slot))
                {
                    var reads = program.Reads(slot);
                    var writes = program.Writes(slot);
                    for (var register = 0; register < Registers; register++)
                    {
                        if ((reads >> register & 1) != 0) uses[(slot - _start) * Registers + register] = current[register];
                    }
                    for (var register = 0; register < Registers; register++)
                    {
                        if ((writes >> register & 1) == 0) continue;
                        current[register] = NewNode();
                        definitions[(slot - _start) * Registers + register] = current[register];
                    }
                }
                for (var register = 0; register < Registers; register++) atEnd[block.Index, register] = current[register];
            }
            foreach (var block in blocks)
            {
                foreach (var next in block.Successors)
                {
                    if (!_inside.Contains(next)) continue;
                    for (var register = 0; register < Registers; register++)
                    {
                        // atEnd is -1 only for a register that is not live here either: unreached by the verifier's account.
                        if ((next.LiveIn >> register & 1) != 0 && atEnd[block.Index, register] >= 0)
                            Union(atStart[next.Index, register], atEnd[block.Index, register]);
                    }
                }
            }

            // Number the webs.
            var numbers = new Dictionary<int, int>();
            int Number(int node) => node < 0 ? -1 : numbers.TryGetValue(Find(node), out var number) ? number : numbers[Find(node)] = numbers.Count;
            for (var i = 0; i < uses.Length; i++)
            {
                uses[i] = Number(uses[i]);
                definitions[i] = Number(definitions[i]);
            }
            foreach (var block in blocks)
            {
                for (var register = 0; register < Registers; register++)
                {
                    atStart[block.Index, register] = Number(atStart[block.Index, register]);
                    atEnd[block.Index, register] = Number(atEnd[block.Index, register]);
                }
            }
            var assignment = new RegisterAssignment(_start, numbers.Count, uses, definitions, atStart, atEnd,
                Names(numbers.Count, uses, definitions, atStart), new bool[numbers.Count]);
            if (narrow) FindNarrow(assignment);
            return assignment;
        }

        private string[] Names(int count, int[] uses, int[] definitions, int[,] atStart)
        {
            var names = new string[count];
            var ranges = new int[Registers];
            void Name(int web, int register)
            {
                if (web >= 0) names[web] ??= ranges[register]++ == 0 ? $"r{register}" : $"r{register}.{ranges[register]}";
            }
            for (var register = 0; register < Registers; register++) Name(atStart[blocks[0].Index, register], register);
            for (var i = 0; i < uses.Length; i++)
            {
                Name(uses[i], i % Registers);
                Name(definitions[i], i % Registers);
            }
            // A register may only pass through.
            foreach (var block in blocks)
            {
                for (var register = 0; register < Registers; register++) Name(atStart[block.Index, register], register);
            }
            return names;
        }

        // A web is 32 bits wide when nothing but zero is ever in its upper half, or nobody reads that half, and more
        // uses want 32 bits than 64.
        private void FindNarrow(RegisterAssignment assignment)
        {
            var zeroUpper = new bool[assignment.Count];
            Array.Fill(zeroUpper, true);
            var uses32 = new int[assignment.Count];
            var uses64 = new int[assignment.Count];
            // What comes from outside or goes there has 64 bits.
            foreach (var block in blocks)
            {
                for (var register = 0; register < Registers; register++)
                {
                    if ((block.Index == 0 || block.Predecessors.Any(from => !_inside.Contains(from))) && assignment.AtStart(block, register) is >= 0 and var entering)
                        zeroUpper[entering] = false;
                    var leaves = block.Successors.Any(next => !_inside.Contains(next) && (next.LiveIn >> register & 1) != 0);
                    if (leaves && assignment.AtEnd(block, register) is >= 0 and var leaving) uses64[leaving]++;
                }
            }
            foreach (var (slot, register) in Accesses(program.Reads))
            {
                var web = assignment.Use(slot, register);
                var move = program.Row(slot).Operation == Operation.Move && program.Row(slot).Width == 64;
                if (move) continue;
                if (Wants32(slot, register)) uses32[web]++;
                else uses64[web]++;
            }
            var changed = true;
            while (changed)
            {
                changed = false;
                foreach (var (slot, register) in Accesses(program.Writes))
                {
                    var web = assignment.Definition(slot, register);
                    if (!zeroUpper[web] || MakesZeroUpper(slot, assignment, zeroUpper)) continue;
                    zeroUpper[web] = false;
                    changed = true;
                }
            }
            // A 64-bit move passes on what its target's readers want.
            var upperRead = new bool[assignment.Count];
            for (var web = 0; web < assignment.Count; web++) upperRead[web] = uses64[web] > 0;
            changed = true;
            while (changed)
            {
                changed = false;
                foreach (var (slot, register) in Accesses(program.Reads))
                {
                    if (program.Row(slot).Operation != Operation.Move || program.Row(slot).Width != 64) continue;
                    var from = assignment.Use(slot, register);
                    var to = assignment.Definition(slot, program.Instructions[slot].Destination);
                    if (upperRead[from] || !upperRead[to]) continue;
                    upperRead[from] = changed = true;
                }
            }
            for (var web = 0; web < assignment.Count; web++)
                assignment.Narrow[web] = !upperRead[web] || (zeroUpper[web] && uses32[web] > uses64[web]);
        }

        private IEnumerable<(int Slot, int Register)> Accesses(Func<int, int> mask)
        {
            foreach (var block in blocks)
            {
                for (var slot = block.Start; slot < block.End; slot += program.Slots(slot))
                {
                    var registers = mask(slot);
                    for (var register = 0; register < Registers; register++)
                    {
                        if ((registers >> register & 1) != 0 && register != 10) yield return (slot, register);
                    }
                }
            }
        }

        // True when the instruction reads only the low half of the register.
        private bool Wants32(int slot, int register)
        {
            var row = program.Row(slot);
            ref readonly var instruction = ref program.Instructions.ItemRef(slot);
            if (row.IsArithmetic)
            {
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
                Operation.Move => row.Source == OperandSource.Immediate ? instruction.Immediate >= 0 : instruction.Source != 10 && zeroUpper[assignment.Use(slot, instruction.Source)],
                Operation.And => row.Source == OperandSource.Immediate && instruction.Immediate >= 0,
                Operation.ShiftRight => row.Source == OperandSource.Immediate && (instruction.Immediate & 63) >= 32,
                Operation.LoadPacketAbsolute or Operation.LoadPacketIndirect => true,
                _ => false,
            };
        }

        private int NewNode()
        {
            _parent.Add(_parent.Count);
            return _parent.Count - 1;
        }

        private int Find(int node)
        {
            while (_parent[node] != node) node = _parent[node] = _parent[_parent[node]];
            return node;
        }

        private void Union(int a, int b) => _parent[Find(a)] = Find(b);
    }
}
