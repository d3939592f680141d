using UringBpf.Bytecode;

namespace UringBpf.Verifier;

/// <summary>One verification: the steps in order.</summary>
internal sealed class Session(ProgramSpec spec, VerifierOptions options)
{
    private Walker? _walker;

    public int Processed => _walker?.Processed ?? 0;

    public int States => _walker?.States ?? 0;

    public VerifiedProgram Run()
    {
        var judge = new Judge(spec, options);
        if (spec.Type is not { } type)
        {
            throw judge.Fatal(Rule.UnknownProgramType, 0, $"section '{spec.Section}' stands for no program type.",
                help: "use a section such as \"uring/complete\", or name the type");
        }
        var shape = new ProgramShape(spec, judge);
        var liveness = new Liveness(spec, shape, type);
        _walker = new Walker(spec, type, options, judge, shape, liveness);
        var root = _walker.Walk();

        var worst = _walker.IsMetered ? null : TerminationProof.LongestPath(root);
        var proved = worst <= options.MaxInstructionsPerRun;
        if (!proved && options.RequireTerminationProof)
        {
            judge.Reject(Rule.ProofRequired, 0, worst is { } count
                ? $"a run may take {count} instructions; {options.MaxInstructionsPerRun} are allowed."
                : "the program is not proved to end.", help: "give every loop a constant bound");
        }
        return new VerifiedProgram(spec, type, options.ContextSize, shape.Functions, _walker.Facts.ToImmutable(),
            proved ? Termination.Proved : Termination.Metered, proved ? worst!.Value : long.MaxValue, _walker.StackBytes,
            _walker.WritesBuffers, _walker.Processed);
    }
}
