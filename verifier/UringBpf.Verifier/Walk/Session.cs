using UringBpf.Bytecode;

namespace UringBpf.Verifier;

/// <summary>
/// One verification: the checks that need no walk, then attempts at walking. An attempt that fails where a loop was
/// generalised is repeated with that loop walked round by round; what it costs counts against one budget. Global functions
/// are verified by their signature, each once, when the first call of one is reached.
/// </summary>
internal sealed class Session : IDisposable
{
    // Steps spent on walking loops round by round only to prove that they end.
    private const int ProofSteps = 200_000;

    // Longer walks are not repeated to explain a rejection.
    private const int ExplainedSteps = 200_000;

    private readonly ProgramSpec _spec;
    private readonly VerifierOptions _options;
    private readonly Judge _judge;
    private readonly LoopPlan _plan = new();
    private readonly Dictionary<int, FunctionSummary> _summaries = [];
    private ProgramType _type = null!;
    private ProgramShape _shape = null!;
    private Liveness _liveness = null!;
    private LoopThresholds _thresholds = null!;
    private Func<Rejection, Rejection>? _explain;

    // A loop that is not proved to end, for the message where a proof is required.
    private int? _unproved;

    public Session(ProgramSpec spec, VerifierOptions options)
    {
        (_spec, _options) = (spec, options);
        _judge = new Judge(spec, options);
    }

    private readonly Workspace _workspace = new();

    /// <summary>Gives back what the verification needed. Its results stay.</summary>
    public void Dispose() => _workspace.Dispose();

    public int Processed { get; private set; }

    public int States { get; private set; }

    /// <summary>Adds what led to a rejection that the walk found: the walk is repeated with its steps kept.</summary>
    public Rejection Explain(Rejection rejection) => _explain?.Invoke(rejection) ?? rejection;

    public VerifiedProgram Run()
    {
        if (_spec.Type is not { } type)
        {
            throw _judge.Fatal(Rule.UnknownProgramType, 0, $"section '{_spec.Section}' stands for no program type.",
                help: "use a section such as \"uring/complete\", or name the type");
        }
        _type = type;
        _shape = new ProgramShape(_spec, _judge, _workspace);
        _liveness = new Liveness(_spec, _shape, type, _workspace);
        _thresholds = new LoopThresholds(_spec, _shape);

        var (walker, worst) = Verify(0, null);
        var proved = worst <= _options.MaxInstructionsPerRun;
        if (!proved && _options.RequireTerminationProof)
        {
            _judge.Reject(Rule.ProofRequired, worst is null && _unproved is { } loop ? loop : walker.Explored.All[^1].Slot, worst is { } count
                ? $"a run may take {count} instructions; {_options.MaxInstructionsPerRun} are allowed."
                : "the program is not proved to end.", help: "give every loop a constant bound");
        }
        foreach (var summary in _summaries.Values) walker.Facts.Merge(summary.Facts, Differs);
        return new VerifiedProgram(_spec, type, _options.ContextSize, _shape.Functions, walker.Facts.Finish(),
            proved ? Termination.Proved : Termination.Metered, proved ? worst!.Value : long.MaxValue, walker.StackBytes,
            walker.WritesBuffers, Processed);
    }

    // Instructions of functions that global functions and others call: see Walker.Fact.
    private void Differs(int slot)
    {
        if (!_type.Context.Fields.Any(field => field.IsTranslated)) return;
        _judge.Reject(Rule.MixedContext, slot, $"this instruction accesses the context (struct {_type.Context.StructName}) when one function calls it and something else, or another field, when another does.",
            help: "read the field in each of them");
    }

    // What is known of a global function, or null when it is to be walked at each call.
    private FunctionSummary? Global(int function, Walker caller)
    {
        if (_summaries.TryGetValue(function, out var known)) return known;
        if (GlobalSignature.Of(_spec, _type, _shape.Functions[function]) is not { } signature) return null;
        Processed = Math.Min(caller.Processed, _options.MaxSteps);
        var explain = _explain;
        _options.Log?.WriteLine($"global function '{signature.Name}' is verified for all that its signature allows: {_spec.Types.Format(_shape.Functions[function].TypeId)}");
        var (walker, worst) = Verify(function, signature);
        _options.Log?.WriteLine($"global function '{signature.Name}' is safe");
        _explain = explain;
        caller.Processed = Processed;
        var isVoid = signature.Returns == ReturnKind.Void;
        return _summaries[function] = new FunctionSummary(signature, isVoid ? null : walker.Returned ?? Scalar.Unknown, worst ?? TerminationProof.Unbounded, walker.Depth,
            walker.StackBytes, worst is null, walker.WritesBuffers, walker.Facts);
    }

    // Walks a function until it is decided; the most instructions it takes, or null when that is not bounded.
    private (Walker Walker, long? Worst) Verify(int function, FunctionPrototype? signature)
    {
        _explain = rejection => Explained(function, signature, rejection);
        try
        {
            var (walker, proof, worst) = WalkSafely(function, signature);
            _explain = null;
            if (worst is null && !walker.IsMetered && _options.Widening && proof.Unproved.Count > 0 && Processed + ProofSteps <= _options.MaxSteps)
                TryRoundByRound(function, signature, ref walker, ref proof, ref worst);
            if (worst is null && proof.Unproved.Count > 0) _unproved ??= proof.Unproved[0];
            if (proof.Endless() is { } endless)
            {
                _judge.Reject(Rule.EndlessLoop, endless.Slot, "from here the program never ends: no path leads out of this loop.",
                    help: "give the loop a condition that becomes false");
            }
            if (!(worst <= _options.MaxInstructionsPerRun) && proof.HeldTooLong(_options.MaxInstructionsPerRun) is { } holder)
            {
                _judge.Reject(Rule.LoopHoldsResource, holder.Slot,
                    $"this {(_shape.Row(holder.Slot).IsCall ? "call" : "loop")} is not proved to end within {_options.MaxInstructionsPerRun} instructions, and a lock or a ring-buffer record is held.",
                    "a run that takes too long is ended, which may not happen here", "give the loop a constant bound, or release before it");
            }
            return (walker, worst);
        }
        catch (RejectedException rejected) when (signature is not null && !rejected.IsFinal)
        {
            throw new RejectedException(InGlobal(function, signature, rejected.Rejection)) { IsFinal = true };
        }
    }

    // What the author of a global function has to know: its callers do not help.
    private Rejection InGlobal(int function, FunctionPrototype signature, Rejection rejection)
    {
        if (IsBudget(rejection)) return rejection;
        var note = $"{signature.Name}() is global, so it is verified once, for all that its signature allows: {_spec.Types.Format(_shape.Functions[function].TypeId)}; "
            + "make it static to have it verified for what it is called with";
        return rejection with { Help = rejection.Help.Length > 0 ? $"{rejection.Help}; {note}" : note };
    }

    private static bool IsBudget(Rejection rejection) => rejection.Code is "UB2901" or "UB2902" or "UB2903";

    private (Walker, TerminationProof, long?) WalkSafely(int function, FunctionPrototype? signature)
    {
        RejectedException? first = null;
        while (true)
        {
            var attempt = Attempt(function, signature, _options.MaxSteps);
            try
            {
                attempt.Walk();
                _options.Observer?.Adopt(function);
                return Prove(attempt);
            }
            catch (RejectedException rejected) when (!rejected.IsFinal && attempt.InnermostGeneral is not null && !IsBudget(rejected.Rejection))
            {
                first ??= rejected;
                _plan.WalkRoundByRound(attempt.InnermostGeneral.Slot);
                _options.Log?.WriteLine($"the loop at {attempt.InnermostGeneral.Slot} is walked round by round: in general, {rejected.Rejection.Message}");
            }
            catch (RejectedException rejected) when (!rejected.IsFinal && first is not null && rejected.Rejection.Code == "UB2901")
            {
                // What stopped the general round tells more than that its rounds are too many.
                throw new RejectedException(first.Rejection with
                {
                    Why = $"{first.Rejection.Why}{(first.Rejection.Why.Length > 0 ? "; " : "")}this holds for a loop in general, and walking its rounds one by one takes more than {_options.MaxSteps} steps",
                });
            }
            finally
            {
                Account(attempt);
            }
        }
    }

    private Walker Attempt(int function, FunctionPrototype? signature, int stepLimit) =>
        new(_spec, _type, _options, _judge, _shape, _liveness, _thresholds, _plan, _workspace, Processed, stepLimit, Global, function, signature);

    private (Walker, TerminationProof, long?) Prove(Walker attempt)
    {
        var found = new TerminationProof(attempt.Explored, _workspace);
        var longest = found.WorstCase();
        return (attempt, found, attempt.IsMetered ? null : longest);
    }

    private void TryRoundByRound(int function, FunctionPrototype? signature, ref Walker walker, ref TerminationProof proof, ref long? worst)
    {
        foreach (var head in proof.Unproved) _plan.WalkRoundByRound(head);
        _options.Log?.WriteLine($"the loops at {string.Join(", ", proof.Unproved.Distinct())} are walked round by round to prove that they end");
        var attempt = Attempt(function, signature, Processed + ProofSteps);
        try
        {
            attempt.Walk();
            if (Prove(attempt) is (_, var better, { } bound))
            {
                (walker, proof, worst) = (attempt, better, bound);
                _options.Observer?.Adopt(function);
            }
        }
        catch (RejectedException rejected) when (rejected.Rejection.Code != "UB2903")
        {
            // The function is safe, as the first walk showed; that this one gave up only leaves it metered.
        }
        finally
        {
            Account(attempt);
            _explain = null;
        }
    }

    private void Account(Walker attempt)
    {
        Processed = Math.Min(Math.Max(Processed, attempt.Processed), _options.MaxSteps);
        States += attempt.States;
    }

    private Rejection Explained(int function, FunctionPrototype? signature, Rejection rejection)
    {
        if (IsBudget(rejection)) return rejection;
        var walker = new Walker(_spec, _type, _options with { Log = null, Observer = null }, _judge, _shape, _liveness, _thresholds, _plan, _workspace, 0, ExplainedSteps,
            (callee, _) => _summaries.TryGetValue(callee, out var summary) ? summary : null, function, signature, traces: true);
        try
        {
            walker.Walk();
        }
        catch (RejectedException again)
        {
            if (again.Rejection.Code != rejection.Code || again.Rejection.Instruction != rejection.Instruction || walker.Trace is not { } failing) return rejection;
            var lineage = new Lineage(_spec, _shape);
            var explained = lineage.Released(rejection, failing) with
            {
                Path = lineage.Of(rejection, failing),
                // A witness is an input of the program, and what a global function is handed is none.
                Proposals = signature is null ? WitnessSearch.Of(_spec, _shape, failing) : [],
            };
            return lineage.TakenAt(rejection, failing) is { Length: > 0 } taken ? explained with { Why = taken } : explained;
        }
        return rejection;
    }
}
