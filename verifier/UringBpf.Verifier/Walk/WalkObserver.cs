namespace UringBpf.Verifier;

/// <summary>
/// Tests only: what the verifier claims, as it claims it. One verification may walk a function several times; the claims of
/// the walk that was adopted last are those that the verdict rests on. Functions are told by their number: 0, the program
/// itself, with all that it calls, and each global function that is verified by its signature, with all that that calls.
/// </summary>
internal abstract class WalkObserver
{
    /// <summary>A walk starts from the beginning: what was seen since the last <see cref="Adopt"/> counts no more.</summary>
    public abstract void Begin(int function);

    /// <summary>This state is walked from here. It changes afterwards: keep a copy. Its first frame is the function's.</summary>
    public abstract void Before(int function, int slot, MachineState state);

    /// <summary>The walk that ended is one that the verdict may rest on.</summary>
    public abstract void Adopt(int function);
}
