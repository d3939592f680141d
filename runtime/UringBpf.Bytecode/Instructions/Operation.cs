namespace UringBpf.Bytecode;

/// <summary>What an instruction does, apart from operand width and source (RFC 9669 sections 4 and 5, and the Linux extensions).</summary>
public enum Operation : byte
{
    /// <summary>No operation: the value of an invalid row.</summary>
    Invalid,

    // Arithmetic. Width is 32 or 64.

    /// <summary>dst += src.</summary>
    Add,
    /// <summary>dst -= src.</summary>
    Subtract,
    /// <summary>dst *= src.</summary>
    Multiply,
    /// <summary>dst = src != 0 ? dst / src : 0, unsigned.</summary>
    Divide,
    /// <summary>Signed division, truncating; by zero gives 0, MIN / -1 gives MIN.</summary>
    SignedDivide,
    /// <summary>dst |= src.</summary>
    Or,
    /// <summary>dst &amp;= src.</summary>
    And,
    /// <summary>dst &lt;&lt;= src, count masked to the width.</summary>
    ShiftLeft,
    /// <summary>dst &gt;&gt;= src unsigned, count masked to the width.</summary>
    ShiftRight,
    /// <summary>dst = -dst.</summary>
    Negate,
    /// <summary>dst = src != 0 ? dst % src : dst, unsigned.</summary>
    Modulo,
    /// <summary>Signed remainder with the sign of the dividend; by zero leaves dst, MIN % -1 gives 0.</summary>
    SignedModulo,
    /// <summary>dst ^= src.</summary>
    Xor,
    /// <summary>dst = src.</summary>
    Move,
    /// <summary>dst = src sign-extended from <see cref="OpcodeRow.Bits"/> bits to the width.</summary>
    MoveSignExtend,
    /// <summary>dst &gt;&gt;= src signed, count masked to the width.</summary>
    ShiftRightArithmetic,
    /// <summary>dst = dst truncated to <see cref="OpcodeRow.Bits"/> bits and converted host to little endian.</summary>
    ToLittleEndian,
    /// <summary>dst = dst truncated to <see cref="OpcodeRow.Bits"/> bits and converted host to big endian.</summary>
    ToBigEndian,
    /// <summary>dst = dst truncated to <see cref="OpcodeRow.Bits"/> bits and byte-swapped.</summary>
    ByteSwap,

    // Memory. Bits is the access size: 8, 16, 32 or 64.

    /// <summary>dst = a 64-bit immediate; which kind, <see cref="OpcodeRow.Wide"/> says.</summary>
    LoadImmediate64,
    /// <summary>dst = *(src + offset), zero-extended.</summary>
    Load,
    /// <summary>dst = *(src + offset), sign-extended.</summary>
    LoadSignExtend,
    /// <summary>*(dst + offset) = src or immediate.</summary>
    Store,
    /// <summary>lock *(dst + offset) += src.</summary>
    AtomicAdd,
    /// <summary>lock *(dst + offset) |= src.</summary>
    AtomicOr,
    /// <summary>lock *(dst + offset) &amp;= src.</summary>
    AtomicAnd,
    /// <summary>lock *(dst + offset) ^= src.</summary>
    AtomicXor,
    /// <summary>src = fetch and add.</summary>
    AtomicFetchAdd,
    /// <summary>src = fetch and or.</summary>
    AtomicFetchOr,
    /// <summary>src = fetch and and.</summary>
    AtomicFetchAnd,
    /// <summary>src = fetch and xor.</summary>
    AtomicFetchXor,
    /// <summary>src = exchange(*(dst + offset), src).</summary>
    AtomicExchange,
    /// <summary>r0 = compare-exchange(*(dst + offset), r0, src); r0 gets the old value.</summary>
    AtomicCompareExchange,
    /// <summary>dst = load-acquire *(src + offset), zero-extended.</summary>
    LoadAcquire,
    /// <summary>store-release *(dst + offset) = src.</summary>
    StoreRelease,
    /// <summary>r0 = network-order value at packet[imm] (LD_ABS); ends the program with 0 when out of bounds; scratches r1-r5.</summary>
    LoadPacketAbsolute,
    /// <summary>r0 = network-order value at packet[src + imm] (LD_IND); ends the program with 0 when out of bounds; scratches r1-r5.</summary>
    LoadPacketIndirect,

    // Control.

    /// <summary>Unconditional jump; the distance is in offset (JMP) or immediate (JMP32, gotol).</summary>
    Jump,
    /// <summary>Jump if dst == src.</summary>
    JumpEqual,
    /// <summary>Jump if dst &gt; src unsigned.</summary>
    JumpGreater,
    /// <summary>Jump if dst &gt;= src unsigned.</summary>
    JumpGreaterOrEqual,
    /// <summary>Jump if dst &amp; src.</summary>
    JumpSet,
    /// <summary>Jump if dst != src.</summary>
    JumpNotEqual,
    /// <summary>Jump if dst &gt; src signed.</summary>
    JumpSignedGreater,
    /// <summary>Jump if dst &gt;= src signed.</summary>
    JumpSignedGreaterOrEqual,
    /// <summary>Jump if dst &lt; src unsigned.</summary>
    JumpLess,
    /// <summary>Jump if dst &lt;= src unsigned.</summary>
    JumpLessOrEqual,
    /// <summary>Jump if dst &lt; src signed.</summary>
    JumpSignedLess,
    /// <summary>Jump if dst &lt;= src signed.</summary>
    JumpSignedLessOrEqual,
    /// <summary>may_goto: falls through while the loop budget lasts, else jumps (Linux JCOND).</summary>
    MayGoto,
    /// <summary>Call helper number imm.</summary>
    CallHelper,
    /// <summary>Call the subprogram at this slot + 1 + imm.</summary>
    CallSubprogram,
    /// <summary>Call kfunc number imm.</summary>
    CallKfunc,
    /// <summary>Call the helper whose number is in dst (callx).</summary>
    CallRegister,
    /// <summary>Return r0.</summary>
    Exit,
}

/// <summary>Where an instruction's second operand comes from.</summary>
public enum OperandSource : byte
{
    /// <summary>There is none.</summary>
    None,
    /// <summary>The immediate, sign-extended to the width.</summary>
    Immediate,
    /// <summary>The source register.</summary>
    Register,
}

/// <summary>What a 64-bit immediate load names (RFC 9669 section 5.4): the value of its source field.</summary>
public enum WideKind : byte
{
    /// <summary>A plain number.</summary>
    Number = 0,
    /// <summary>The map with file descriptor imm. Loaders replace it by <see cref="MapIndex"/>; the verifier refuses it.</summary>
    MapFd = 1,
    /// <summary>next_imm bytes into the value of the map with descriptor imm.</summary>
    MapValueFd = 2,
    /// <summary>The address of the platform variable imm.</summary>
    Variable = 3,
    /// <summary>The address of the subprogram at this slot + 1 + imm.</summary>
    Function = 4,
    /// <summary>The map at index imm of <see cref="ProgramSpec.Maps"/>.</summary>
    MapIndex = 5,
    /// <summary>next_imm bytes into the (first) value of the map at index imm.</summary>
    MapValueIndex = 6,
}

/// <summary>The conformance groups of RFC 9669 section 2.4, callx, and one for what Linux added since.</summary>
public enum ConformanceGroup : byte
{
    /// <summary>base32.</summary>
    Base32,
    /// <summary>base64.</summary>
    Base64,
    /// <summary>divmul32.</summary>
    DivMul32,
    /// <summary>divmul64.</summary>
    DivMul64,
    /// <summary>atomic32.</summary>
    Atomic32,
    /// <summary>atomic64.</summary>
    Atomic64,
    /// <summary>callx. Not in the RFC; the name is the bpf_conformance suite's.</summary>
    CallX,
    /// <summary>packet (LD_ABS, LD_IND).</summary>
    Packet,
    /// <summary>Not in the RFC: may_goto, load-acquire, store-release.</summary>
    Linux,
}
