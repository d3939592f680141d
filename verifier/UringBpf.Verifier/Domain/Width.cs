namespace UringBpf.Verifier;

/// <summary>
/// A word size as a type: the arithmetic below is written once and used at 64 and 32 bits; tests run the same code
/// exhaustively at a few bits. The JIT specialises each instantiation, so the parameter costs nothing.
/// </summary>
internal interface IWidth
{
    static abstract int Bits { get; }
}

internal readonly struct Bits64 : IWidth
{
    public static int Bits => 64;
}

internal readonly struct Bits32 : IWidth
{
    public static int Bits => 32;
}
