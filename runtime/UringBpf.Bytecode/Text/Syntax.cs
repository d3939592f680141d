namespace UringBpf.Bytecode;

/// <summary>The words of the text form, declared once for <see cref="Disassembler"/> and the assembler: llvm-objdump's BPF syntax.</summary>
internal static class Syntax
{
    /// <summary>The assignment operator of an arithmetic operation, such as <c>+=</c>.</summary>
    public static readonly (Operation Operation, string Text)[] Assignments =
    [
        (Operation.Add, "+="), (Operation.Subtract, "-="), (Operation.Multiply, "*="), (Operation.Divide, "/="), (Operation.SignedDivide, "s/="),
        (Operation.Or, "|="), (Operation.And, "&="), (Operation.ShiftLeft, "<<="), (Operation.ShiftRight, ">>="), (Operation.Modulo, "%="),
        (Operation.SignedModulo, "s%="), (Operation.Xor, "^="), (Operation.Move, "="), (Operation.ShiftRightArithmetic, "s>>="),
    ];

    /// <summary>The comparison of a conditional jump, such as <c>s&gt;=</c>.</summary>
    public static readonly (Operation Operation, string Text)[] Comparisons =
    [
        (Operation.JumpEqual, "=="), (Operation.JumpGreater, ">"), (Operation.JumpGreaterOrEqual, ">="), (Operation.JumpSet, "&"),
        (Operation.JumpNotEqual, "!="), (Operation.JumpSignedGreater, "s>"), (Operation.JumpSignedGreaterOrEqual, "s>="),
        (Operation.JumpLess, "<"), (Operation.JumpLessOrEqual, "<="), (Operation.JumpSignedLess, "s<"), (Operation.JumpSignedLessOrEqual, "s<="),
    ];

    /// <summary>The operator of an atomic operation without fetch.</summary>
    public static readonly (Operation Operation, string Text)[] AtomicAssignments =
        [(Operation.AtomicAdd, "+="), (Operation.AtomicOr, "|="), (Operation.AtomicAnd, "&="), (Operation.AtomicXor, "^=")];

    /// <summary>The function name of an atomic operation with fetch.</summary>
    public static readonly (Operation Operation, string Text)[] AtomicFetches =
    [
        (Operation.AtomicFetchAdd, "atomic_fetch_add"), (Operation.AtomicFetchOr, "atomic_fetch_or"),
        (Operation.AtomicFetchAnd, "atomic_fetch_and"), (Operation.AtomicFetchXor, "atomic_fetch_xor"),
    ];

    /// <summary>The prefix of a byte swap, before its bits.</summary>
    public static readonly (Operation Operation, string Text)[] Swaps =
        [(Operation.ToLittleEndian, "le"), (Operation.ToBigEndian, "be"), (Operation.ByteSwap, "bswap")];

    /// <summary>The text of an operation in one of the tables, or null.</summary>
    public static string? Find((Operation Operation, string Text)[] table, Operation operation)
    {
        foreach (var entry in table)
        {
            if (entry.Operation == operation) return entry.Text;
        }
        return null;
    }

    /// <summary>The operation of a text in one of the tables, or <see cref="Operation.Invalid"/>.</summary>
    public static Operation Find((Operation Operation, string Text)[] table, string text)
    {
        foreach (var entry in table)
        {
            if (entry.Text == text) return entry.Operation;
        }
        return Operation.Invalid;
    }
}
