using UringBpf.Bytecode;

namespace UringBpf.Verifier;

/// <summary>
/// One verification: the checks that need no walk, then attempts at walking. An attempt that fails where a loop was
/// generalised is repeated with that loop walked round by round; what it costs counts against one budget.
/// </summary>
internal sealed class Session(ProgramSpec spec, VerifierOptions options)
{
    private Rejection Explained(ProgramShape shape, Liveness liveness, LoopThresholds thresholds, LoopPlan plan, Judge judge, Rejection rejection)
    {
        if (rejection.Code is "UB2901" or "UB2902" or "UB2903") return rejection;
        var walker = new Walker(spec, spec.Type!, options with { Log = null, Observer = null }, judge, shape, liveness, thresholds, plan, 0, ExplainedSteps, traces: true);
        try
        {
            walker.Walk();
        }
        catch (RejectedException again)
        {
            if (again.Rejection.Code != rejection.Code || again.Rejection.Instruction != rejection.Instruction || walker.Trace is not { } failing) return rejection;
            var lineage = new Lineage(spec, shape);
            var taken = lineage.TakenAt(rejection, failing);
            return rejection with
            {
                Why = taken.Length > 0 ? taken : rejection.Why,
                Path = lineage.Of(rejection, failing),
                Proposals = WitnessSearch.Of(spec, shape, failing),
            };
        }
        return rejection;
    }

    // Steps spent on walking loops round by round only to prove that they end.
    private const int ProofSteps = 200_000;

    public int Processed { get; private set; }

    public int States { get; private set; }

    // Longer walks are not repeated to explain a rejection.
    private const int ExplainedSteps = 200_000;

    private Func<Rejection, Rejection>? _explain;

    /// <summary>Adds what led to a rejection that the walk found: the walk is repeated with its steps kept.</summary>
    public Rejection Explain(Rejection rejection) => _explain?.Invoke(rejection) ?? rejection;

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
        var thresholds = new LoopThresholds(spec, shape);
        var plan = new LoopPlan();
        _explain = rejection => Explained(shape, liveness, thresholds, plan, judge, rejection);
        var (walker, proof, worst) = WalkSafely();
        _explain = null;

        if (worst is null && !walker.IsMetered && options.Widening && proof.Unproved.Count > 0 && Processed + ProofSteps <= options.MaxSteps)
            TryRoundByRound();
        if (proof.Endless() is { } endless)
        {
            judge.Reject(Rule.EndlessLoop, endless.Slot, "from here the program never ends: no path leads out of this loop.",
                help: "give the loop a condition that becomes false");
        }
        var proved = worst <= options.MaxInstructionsPerRun;
        if (!proved && proof.HeldTooLong(options.MaxInstructionsPerRun) is { } holder)
        {
            judge.Reject(Rule.LoopHoldsResource, holder.Slot, $"this loop is not proved to end within {options.MaxInstructionsPerRun} instructions, and it holds a lock or a ring-buffer record.",
                "a run that takes too long is ended, which may not happen here", "give the loop a constant bound, or release before it");
        }
        if (!proved && options.RequireTerminationProof)
        {
            var loop = worst is null && proof.Unproved.Count > 0 ? proof.Unproved[0] : walker.Nodes[^1].Slot;
            judge.Reject(Rule.ProofRequired, loop, worst is { } count
                ? $"a run may take {count} instructions; {options.MaxInstructionsPerRun} are allowed."
                : "the program is not proved to end.", help: "give every loop a constant bound");
        }
        return new VerifiedProgram(spec, type, options.ContextSize, shape.Functions, walker.Facts.Finish(),
            proved ? Termination.Proved : Termination.Metered, proved ? worst!.Value : long.MaxValue, walker.StackBytes,
            walker.WritesBuffers, Processed);

        (Walker, TerminationProof, long?) WalkSafely()
        {
            RejectedException? first = null;
            while (true)
            {
                var attempt = new Walker(spec, type, options, judge, shape, liveness, thresholds, plan, Processed, options.MaxSteps);
                try
                {
                    attempt.Walk();
                    options.Observer?.Adopt();
                    return Prove(attempt);
                }
                catch (RejectedException rejected) when (attempt.InnermostGeneral is { } general && rejected.Rejection.Code is not ("UB2901" or "UB2902" or "UB2903"))
                {
                    first ??= rejected;
                    plan.WalkRoundByRound(general.Slot);
                    options.Log?.WriteLine($"the loop at {general.Slot} is walked round by round: in general, {rejected.Rejection.Message}");
                }
                catch (RejectedException rejected) when (first is not null && rejected.Rejection.Code == "UB2901")
                {
                    // What stopped the general round tells more than that its rounds are too many.
                    throw new RejectedException(first.Rejection with
                    {
                        Why = $"{first.Rejection.Why}{(first.Rejection.Why.Length > 0 ? "; " : "")}this holds for a loop in general, and walking its rounds one by one takes more than {options.MaxSteps} steps",
                    });
                }
                finally
                {
                    Account(attempt);
                }
            }
        }

        (Walker, TerminationProof, long?) Prove(Walker attempt)
        {
            var found = new TerminationProof(attempt.Nodes);
            var longest = found.WorstCase();
            return (attempt, found, attempt.IsMetered ? null : longest);
        }

        void TryRoundByRound()
        {
            foreach (var head in proof.Unproved) plan.WalkRoundByRound(head);
            options.Log?.WriteLine($"the loops at {string.Join(", ", proof.Unproved.Distinct())} are walked round by round to prove that they end");
            var attempt = new Walker(spec, type, options, judge, shape, liveness, thresholds, plan, Processed, Processed + ProofSteps);
            try
            {
                attempt.Walk();
                if (Prove(attempt) is (_, var better, { } bound))
                {
                    (walker, proof, worst) = (attempt, better, bound);
                    options.Observer?.Adopt();
                }
            }
            catch (RejectedException rejected) when (rejected.Rejection.Code != "UB2903")
            {
                // The program is safe, as the first walk showed; that this one gave up only leaves it metered.
            }
            finally
            {
                Account(attempt);
            }
        }

        void Account(Walker attempt)
        {
            Processed = Math.Min(attempt.Processed, options.MaxSteps);
            States += attempt.States;
        }
    }
}
