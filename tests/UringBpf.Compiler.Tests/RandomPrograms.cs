using UringBpf.Bytecode;

namespace UringBpf.Compiler.Tests;

/// <summary>
/// Random programs that are safe by construction: arithmetic on r0..r5, 64 bytes of context (r6), stack slots, forward
/// jumps, counted loops (r7), calls of subprograms. Every register and slot that is read was written.
/// </summary>
internal sealed class RandomPrograms(int seed)
{
    public const int ContextBytes = 64, StackBytes = 32;

    private static readonly OpcodeRow[] s_arithmetic = [.. OpcodeTable.Rows.Where(row => row.IsArithmetic)];
    private static readonly OpcodeRow[] s_jumps = [.. OpcodeTable.Rows.Where(row => row.IsConditionalJump)];
    private static readonly OpcodeRow[] s_memory = [.. OpcodeTable.Rows.Where(row => row.IsMemory)];

    private readonly Random _random = new(seed);
    private readonly List<Instruction> _code = [];
    private readonly List<(int Call, int Function)> _calls = [];

    /// <summary>A main function of about <paramref name="length"/> slots and up to two subprograms.</summary>
    public VerifiedProgram Make(int length, Termination termination = Termination.Proved)
    {
        var functions = _random.Next(3);
        var parts = new List<Subprogram>();
        for (var function = 0; function <= functions; function++)
        {
            var start = _code.Count;
            Function(function, functions, function == 0 ? length : 20);
            parts.Add(new Subprogram(function == 0 ? "main" : $"f{function}", start, _code.Count - start));
        }
        foreach (var (call, function) in _calls) _code[call] = _code[call].WithImmediate(parts[function].Start - call - 1);
        return TestPrograms.Trusted([.. _code], null, termination: termination, subprograms: [.. parts]);
    }

    private void Function(int index, int functions, int length)
    {
        var main = index == 0;
        if (main)
        {
            Add(0xbf, 6, 1);
            for (var register = 0; register < 6; register++) Add(0x79, register, 6, (short)(register * 8));
        }
        else
        {
            Add(0xb7, 0, immediate: _random.Next());
        }
        for (var slot = 8; slot <= StackBytes; slot += 8) Add(0x7b, 10, _random.Next(6), (short)-slot);
        var end = _code.Count + length;
        while (_code.Count < end) Step(index, functions, inLoop: false);
        Add(0x95);
    }

    private void Step(int function, int functions, bool inLoop)
    {
        switch (_random.Next(12))
        {
            case < 6:
                Arithmetic();
                break;
            case < 9:
                Memory(function == 0);
                break;
            case 9:
                Jump();
                break;
            case 10 when !inLoop:
                Loop(function, functions);
                break;
            case 11 when functions > function && !inLoop:
                _calls.Add((_code.Count, function + 1));
                Add(0x85, source: 1);
                // A call leaves r1..r5 unreadable.
                for (var register = 1; register < 6; register++) Add(0xb7, register, immediate: Value());
                break;
        }
    }

    private void Arithmetic()
    {
        var row = s_arithmetic[_random.Next(s_arithmetic.Length)];
        var offset = row.Selector == RowSelector.Offset ? (short)row.SelectorValue : (short)0;
        var immediate = row.Selector == RowSelector.Immediate ? row.SelectorValue : row.Source == OperandSource.Immediate ? Value() : 0;
        Add(row.Opcode, _random.Next(6), row.Source == OperandSource.Register ? _random.Next(6) : 0, offset, immediate);
    }

    private void Memory(bool context)
    {
        var row = s_memory[_random.Next(s_memory.Length)];
        var onContext = context && _random.Next(2) == 0;
        var bytes = row.Bits / 8;
        var room = onContext ? ContextBytes : StackBytes;
        var offset = _random.Next(room / bytes) * bytes - (onContext ? 0 : StackBytes);
        var address = onContext ? 6 : 10;
        var loads = row.Operation is Operation.Load or Operation.LoadSignExtend or Operation.LoadAcquire;
        var value = row.Source == OperandSource.Register || loads ? _random.Next(6) : 0;
        var immediate = row.Selector == RowSelector.Immediate ? row.SelectorValue : row.Source == OperandSource.Immediate ? Value() : 0;
        Add(row.Opcode, loads ? value : address, loads ? address : value, (short)offset, immediate);
    }

    private void Jump()
    {
        var row = s_jumps[_random.Next(s_jumps.Length)];
        var skip = _random.Next(1, 6);
        Add(row.Opcode, _random.Next(6), row.Source == OperandSource.Register ? _random.Next(6) : 0, (short)skip,
            row.Source == OperandSource.Immediate ? Value() : 0);
        for (var i = 0; i < skip; i++) Arithmetic();
    }

    private void Loop(int function, int functions)
    {
        Add(0xb7, 7, immediate: _random.Next(1, 9));
        var head = _code.Count;
        var steps = _random.Next(1, 6);
        for (var i = 0; i < steps; i++) Step(function, functions, inLoop: true);
        Add(0x17, 7, immediate: 1);
        Add(0x55, 7, 0, (short)(head - _code.Count - 1));
    }

    private int Value() => _random.Next(5) switch
    {
        0 => _random.Next(-4, 5),
        1 => 1 << _random.Next(32),
        2 => int.MinValue,
        3 => -_random.Next(),
        _ => _random.Next(),
    };

    private void Add(byte opcode, int destination = 0, int source = 0, short offset = 0, int immediate = 0) =>
        _code.Add(new Instruction(opcode, destination, source, offset, immediate));
}
