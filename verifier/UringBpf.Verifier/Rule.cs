namespace UringBpf.Verifier;

/// <summary>Every check the verifier makes; the number is its diagnostic code (UB2103 and so on).</summary>
internal enum Rule
{
    // Structure.
    ProgramSize = 2001,
    UndefinedInstruction = 2002,
    InvalidRegister = 2003,
    InvalidJump = 2004,
    FallsOffEnd = 2005,
    InvalidMapReference = 2006,
    TooManyMaps = 2007,
    TooManySubprograms = 2008,
    UnresolvedInstruction = 2009,
    UnknownProgramType = 2010,
    Recursion = 2011,
    CallDepth = 2012,
    InvalidCallTarget = 2013,
    ImmediateShift = 2014,

    // Memory.
    UninitializedRegister = 2101,
    UninitializedStack = 2102,
    MapValueBounds = 2103,
    MemoryBounds = 2104,
    StackBounds = 2105,
    ContextField = 2106,
    ContextReadOnly = 2107,
    BufferBounds = 2108,
    NotAPointer = 2109,
    MaybeNull = 2110,
    ReadOnlyMap = 2111,
    WriteOnlyMap = 2112,
    Misaligned = 2113,
    ContextVariableOffset = 2114,
    LockField = 2115,
    AtomicTarget = 2116,
    PartialPointer = 2117,
    PointerStored = 2118,
    NotAccessible = 2119,
    BufferReadOnly = 2120,
    PointerToInnerFrame = 2121,
    MixedContext = 2122,

    // Arithmetic and comparison.
    PointerOperation = 2201,
    PointerOffset = 2202,
    MaybeNullArithmetic = 2203,
    PointerComparison = 2204,
    PointerDifference = 2205,

    // Calls.
    UnknownFunction = 2301,
    FunctionNotAllowed = 2302,
    ArgumentKind = 2303,
    ArgumentSize = 2304,
    MapTypeMismatch = 2305,
    NotConstant = 2306,
    CallbackFunction = 2307,
    ConstantString = 2308,
    CallUnderLock = 2309,
    IndirectCall = 2310,
    TailCallPlace = 2311,
    PacketLoad = 2312,
    PointerArgument = 2313,

    // References, locks, iterators.
    ReferenceLeak = 2401,
    NotARecord = 2402,
    LockLeak = 2403,
    LockMisuse = 2404,
    IteratorMisuse = 2405,

    // What a function returns.
    ReturnRange = 2501,
    ReturnsPointer = 2502,
    CallbackReturn = 2503,

    // Termination.
    EndlessLoop = 2601,
    ProofRequired = 2602,
    LoopHoldsResource = 2603,

    // Budgets.
    StepBudget = 2901,
    MemoryBudget = 2902,
    Cancelled = 2903,
}
