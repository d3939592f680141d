namespace UringBpf.Verifier;

/// <summary>
/// Tests only: what the verifier claims, as it claims it. One verification may walk a program several times; the claims of
/// the walk that was adopted last are those that the verdict rests on.
/// </summary>
internal abstract class WalkObserver
{
    /// <summary>A walk starts from the beginning: what was seen since the last <see cref="Adopt"/> counts no more.</summary>
    public abstract void Begin();

    /// <summary>This state is walked from here. It changes afterwards: keep a copy.</summary>
    public abstract void Before(int slot, MachineState state);

    /// <summary>The walk that ended is one that the verdict may rest on.</summary>
    public abstract void Adopt();
}
