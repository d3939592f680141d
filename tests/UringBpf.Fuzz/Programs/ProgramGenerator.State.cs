using UringBpf.Bytecode;

namespace UringBpf.Fuzz;

/// <summary>What the generator knows of the program's registers, and how it writes instructions.</summary>
public sealed partial class ProgramGenerator
{
    // First: the others are made with it.
    private static readonly Dictionary<(Operation, int, int, OperandSource), OpcodeRow> s_rows =
        OpcodeTable.Rows.Where(row => row.Operation != Operation.LoadImmediate64).ToDictionary(row => (row.Operation, row.Width, row.Bits, row.Source));
    private static readonly OpcodeRow s_move64 = Register(Operation.Move, 64);
    private static readonly OpcodeRow s_moveImmediate64 = Immediate(Operation.Move, 64);
    private static readonly OpcodeRow s_exit = Row(Operation.Exit, 64, 0, OperandSource.None);
    private static readonly OpcodeRow s_jump = Row(Operation.Jump, 64, 0, OperandSource.None);
    private static readonly OpcodeRow s_longJump = Row(Operation.Jump, 32, 0, OperandSource.None);
    private static readonly OpcodeRow[] s_arithmetic = [.. OpcodeTable.Rows.Where(row => row.IsArithmetic)];
    private static readonly OpcodeRow[] s_jumps = [.. OpcodeTable.Rows.Where(row => row.IsConditionalJump)];
    private static readonly OpcodeRow[] s_memory = [.. OpcodeTable.Rows.Where(row => row.IsMemory)];

    private Held[] _held = new Held[10];
    private Held[] _spilled = new Held[Spills];
    private int _locked;
    private int _loops;
    private bool _noExit;

    private enum HeldKind : byte
    {
        None,
        Number,
        Memory,
        MaybeNull,
        Context,
        PacketEnd,
    }

    private enum Place : byte
    {
        Stack,
        Outer,
        Context,
        Map,
        Constant,
        Packet,
        Record,
        Host,
    }

    /// <summary>What a register holds, as far as it matters for choosing steps.</summary>
    private struct Held
    {
        public HeldKind Kind;
        public Place Place;
        /// <summary>A number: known to be 0..Max, or nothing known when negative.</summary>
        public long Max;
        /// <summary>A pointer: bytes of its object, from offset 0.</summary>
        public int Size;
        /// <summary>A pointer: its lowest offset.</summary>
        public int Offset;
        /// <summary>A pointer: what may come on top.</summary>
        public int Variable;
        /// <summary>A pointer: its offset is a multiple.</summary>
        public int Align;
        /// <summary>Pointers from one lookup become NULL or not together.</summary>
        public int Origin;

        public static Held Number(long max = -1) => new() { Kind = HeldKind.Number, Max = max };

        public readonly int Room => Size - Offset - Variable;
    }

    private readonly record struct Saved(Held[] Registers, Held[] Spilled);

    private Saved Save() => new([.. _held], [.. _spilled]);

    private void Restore(Saved saved) => (_held, _spilled) = ([.. saved.Registers], [.. saved.Spilled]);

    // What holds on both ways.
    private void Merge(Saved other)
    {
        Merge(_held, other.Registers);
        Merge(_spilled, other.Spilled);
    }

    private static void Merge(Held[] these, Held[] those)
    {
        for (var i = 0; i < these.Length; i++)
        {
            var (a, b) = (these[i], those[i]);
            if (a.Kind == HeldKind.Number && b.Kind == HeldKind.Number) these[i].Max = a.Max < 0 || b.Max < 0 ? -1 : Math.Max(a.Max, b.Max);
            else if (!a.Equals(b)) these[i] = default;
        }
    }

    private int Pick(Func<Held, bool> wanted)
    {
        Span<int> found = stackalloc int[10];
        var count = 0;
        for (var register = 0; register < 10; register++)
        {
            if (wanted(_held[register])) found[count++] = register;
        }
        return count == 0 ? -1 : found[_random.Below(count)];
    }

    private int PickNumber() => Pick(held => held.Kind == HeldKind.Number);

    // A number, made if there is none.
    private int Number()
    {
        var number = PickNumber();
        if (number < 0) FreshNumber(number = Target());
        return number;
    }

    // A number that may be changed.
    private int OwnNumber()
    {
        var number = Number();
        if ((_locked >> number & 1) == 0) return number;
        var copy = Target();
        Emit(s_move64, copy, number);
        _held[copy] = _held[number];
        return copy;
    }

    // A register that may be overwritten; rather one that holds nothing of worth.
    private int Target(bool keptByCalls = false)
    {
        while (true)
        {
            var register = keptByCalls ? 6 + _random.Below(4) : _random.Below(10);
            if ((_locked >> register & 1) != 0) continue;
            if (_held[register].Kind is HeldKind.None or HeldKind.Number || _random.OneIn(3)) return register;
        }
    }

    private int TargetBut(int register, int other = -1)
    {
        int target;
        do target = Target();
        while (target == register || target == other);
        return target;
    }

    private bool CanLock => (~_locked & 0b1111 << 6) != 0;

    // At least so many of r6..r9 stay free.
    private bool HasKept(int count) => System.Numerics.BitOperations.PopCount((uint)(~_locked & 0b1111 << 6)) >= count;

    private int Constant() => _random.Below(8) switch
    {
        0 => _random.Below(9) - 4,
        1 => 1 << _random.Below(32),
        2 => (1 << _random.Below(32)) - 1,
        3 => -(1 << _random.Below(32)),
        4 => int.MinValue + _random.Below(3) - 1,
        5 => _random.Below(256),
        6 => _random.Below(72),
        _ => (int)_random.Next(),
    };

    private static OpcodeRow Row(Operation operation, int width, int bits, OperandSource source) => s_rows[(operation, width, bits, source)];

    private static OpcodeRow Register(Operation operation, int width) => Row(operation, width, 0, OperandSource.Register);

    private static OpcodeRow Immediate(Operation operation, int width) => Row(operation, width, 0, OperandSource.Immediate);

    private static OpcodeRow Load(int bits) => Row(Operation.Load, 64, bits, OperandSource.Register);

    private static OpcodeRow Store(int bits) => Row(Operation.Store, 64, bits, OperandSource.Register);

    private static OpcodeRow StoreImmediate(int bits) => Row(Operation.Store, 64, bits, OperandSource.Immediate);

    private int Emit(OpcodeRow row, int destination = 0, int source = 0, int offset = 0, int immediate = 0)
    {
        _code.Add(row.Encode(destination, row.Source == OperandSource.Register || row.IsMemory ? source : 0, (short)offset, immediate));
        return _code.Count - 1;
    }

    private int EmitWide(WideKind kind, int destination, int low, int high)
    {
        _code.Add(OpcodeTable.WideImmediate(kind).Encode(destination, immediate: low));
        _code.Add(new Instruction(0, immediate: high));
        return _code.Count - 2;
    }

    // The jump's target is the next instruction.
    private void Land(int jump) => JumpBack(jump, _code.Count);

    private void JumpBack(int jump, int target) => _code[jump] = _code[jump].Opcode == s_longJump.Opcode ? _code[jump].WithImmediate(target - jump - 1) : _code[jump].WithOffset((short)(target - jump - 1));

    // Goes somewhere, near or far.
    private int Jump() => Emit(!_forKernel && _random.OneIn(4) ? s_longJump : s_jump);

    // Ends the function here, whichever it is.
    private void Leave()
    {
        var callback = _functions[_function] is FunctionKind.LoopBody or FunctionKind.EachCell;
        Emit(s_moveImmediate64, 0, immediate: callback ? _random.Below(2) : ReturnsStatus && _function == 0 ? -_random.Below(2) : _random.Below(5));
        Emit(s_exit);
    }

    // Goes on only if the comparison holds.
    private void Demand(Operation comparison, int width, int register, int immediate)
    {
        var jump = Emit(Immediate(comparison, width), register, immediate: immediate);
        Leave();
        Land(jump);
    }

    private void Demand(Operation comparison, int width, int left, int right, bool byRegister)
    {
        if (!byRegister)
        {
            Demand(comparison, width, left, right);
            return;
        }
        var jump = Emit(Row(comparison, width, 0, OperandSource.Register), left, right);
        Leave();
        Land(jump);
    }
}
