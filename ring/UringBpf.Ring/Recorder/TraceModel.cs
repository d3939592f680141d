using UringBpf.Bytecode;

namespace UringBpf.Ring;

/// <summary>A call of a kfunc, in words.</summary>
internal sealed record TraceCall(string Text, string Result, bool Failed, LineInfo? Line);

/// <summary>A hook's run: what completed, what it called, what it decided.</summary>
internal sealed record TraceDecision(long Time, uint Duration, ulong Step, string Completed, int Verdict, LineInfo? Line, IReadOnlyList<TraceCall> Calls);

/// <summary>An operation from its submission to its last completion.</summary>
internal sealed class TraceBar
{
    public required long Start { get; init; }
    /// <summary>Its last completion, or the end of the record where that is still to come.</summary>
    public long End { get; set; }
    public bool InFlight { get; set; } = true;
    public required IoUringOp Opcode { get; init; }
    public required string Text { get; set; }
    public required ulong UserData { get; init; }
    public int Result { get; set; }
    public bool Cancelled { get; set; }
    /// <summary>Completions before the last one (multishot).</summary>
    public int Intermediate { get; set; }
    /// <summary>Bars that overlap lie in different rows.</summary>
    public required int Row { get; init; }
    /// <summary>Where the hook submitted it.</summary>
    public required LineInfo? Line { get; init; }
}

/// <summary>A chain, or the host's own operations (0).</summary>
internal sealed class TraceLane(ulong chain, string program, long start)
{
    private readonly List<TraceBar?> _rows = [];

    public ulong Chain { get; } = chain;
    public string Program { get; } = program;
    public long Start { get; } = start;
    public long End { get; set; }
    /// <summary>False where the record begins after the chain did.</summary>
    public bool StartSeen { get; set; }
    public bool Ended { get; set; }
    public int Result { get; set; }
    public int Verdict { get; set; }
    public ulong Steps { get; set; }
    public ulong Bytes { get; set; }
    public List<TraceBar> Bars { get; } = [];
    public List<TraceDecision> Decisions { get; } = [];
    public int Rows => _rows.Count;

    /// <summary>Calls since the last completion: they belong to the hook run that follows.</summary>
    public List<TraceCall> PendingCalls { get; } = [];
    public string LastCompleted { get; set; } = "";

    public string Name => Chain == 0 ? "host" : $"chain {Chain}";

    /// <summary>The first row with nothing in it now.</summary>
    public int FreeRow()
    {
        var row = _rows.FindIndex(bar => bar is not { InFlight: true });
        if (row >= 0) return row;
        _rows.Add(null);
        return _rows.Count - 1;
    }

    public void Add(TraceBar bar)
    {
        Bars.Add(bar);
        _rows[bar.Row] = bar;
    }
}

/// <summary>The events put together: what both writers show.</summary>
internal sealed class TraceModel
{
    private const int MoreFlag = 2;

    private readonly Dictionary<ulong, TraceLane> _lanes = [];
    private readonly Dictionary<ulong, TraceBar> _inFlight = [];
    private readonly ProgramSpec[] _programs;

    private TraceModel(ProgramSpec[] programs) => _programs = programs;

    public List<TraceLane> Lanes { get; } = [];
    /// <summary>Stopwatch ticks of the first and the last event.</summary>
    public long First { get; private set; }
    public long Last { get; private set; }

    public static TraceModel Of(RingTrace trace)
    {
        var model = new TraceModel(trace.Programs);
        if (trace.Events.Length > 0) (model.First, model.Last) = (trace.Events[0].Time, trace.Events[^1].Time);
        foreach (ref readonly var entry in trace.Events.AsSpan()) model.Add(entry);
        foreach (var lane in model.Lanes)
        {
            if (!lane.Ended) lane.End = model.Last;
            foreach (var bar in lane.Bars.Where(bar => bar.InFlight)) bar.End = model.Last;
        }
        return model;
    }

    private void Add(in TraceEvent entry)
    {
        if (!_lanes.TryGetValue(entry.Chain, out var lane))
        {
            lane = new TraceLane(entry.Chain, entry.Chain == 0 ? "" : _programs[entry.Program].Name, entry.Time);
            _lanes.Add(entry.Chain, lane);
            Lanes.Add(lane);
        }
        var line = entry.Chain == 0 ? null : LineOf(_programs[entry.Program], entry.Site);
        switch (entry.Kind)
        {
            case TraceKind.ChainStart:
                lane.StartSeen = true;
                break;
            case TraceKind.Submit:
                var text = TraceText.Operation(entry);
                var bar = new TraceBar { Start = entry.Time, Opcode = (IoUringOp)entry.Code, Text = text, UserData = entry.C, Row = lane.FreeRow(), Line = line };
                lane.Add(bar);
                _inFlight[entry.Tag] = bar;
                lane.PendingCalls.Add(new TraceCall((IoUringOp)entry.Code == IoUringOp.Timeout ? $"uring_timeout({text})" : $"uring_submit({text})", "0", false, line));
                break;
            case TraceKind.Path:
                if (!_inFlight.TryGetValue(entry.Tag, out var named)) break;
                // The call that queued it was the last one.
                var last = lane.PendingCalls.Count - 1;
                var whole = TraceText.WithPath(named.Text, entry);
                if (last >= 0) lane.PendingCalls[last] = lane.PendingCalls[last] with { Text = lane.PendingCalls[last].Text.Replace(named.Text, whole, StringComparison.Ordinal) };
                named.Text = whole;
                break;
            case TraceKind.Cancel:
                if (_inFlight.TryGetValue(entry.Tag, out var cancelled)) cancelled.Cancelled = true;
                break;
            case TraceKind.Complete:
                lane.PendingCalls.Clear();
                lane.LastCompleted = $"{TraceText.Name((IoUringOp)entry.Code)} = {TraceText.Result(entry.Result)}";
                if (!_inFlight.TryGetValue(entry.Tag, out var completed)) break;
                completed.End = entry.Time;
                completed.Result = entry.Result;
                if ((entry.A & MoreFlag) != 0)
                {
                    completed.Intermediate++;
                    break;
                }
                completed.InFlight = false;
                _inFlight.Remove(entry.Tag);
                break;
            case TraceKind.Call:
                var (call, result) = TraceText.Call(entry);
                lane.PendingCalls.Add(new TraceCall(call, result, entry.Result < 0, line));
                break;
            case TraceKind.Policy:
                var (judged, verdict) = TraceText.Judged(entry, _programs[(int)entry.B].Name);
                if (entry.Chain != 0)
                {
                    lane.PendingCalls.Add(new TraceCall(judged, verdict, entry.Result < 0, line));
                    break;
                }
                // The host hears of a refusal as of a result; what was allowed shows as the operation itself.
                if (entry.Result >= 0) break;
                lane.Add(new TraceBar { Start = entry.Time, End = entry.Time, Opcode = (IoUringOp)entry.Code, Text = judged, UserData = 0, Row = lane.FreeRow(), Line = null, InFlight = false, Result = entry.Result });
                break;
            case TraceKind.Hook:
                // Where it was timed, B is when it began: later than the batch's stamp.
                lane.Decisions.Add(new TraceDecision(entry.B != 0 ? (long)entry.B : entry.Time, entry.Duration, entry.A, lane.LastCompleted, entry.Result,
                    line ?? LineOf(_programs[entry.Program], 0), [.. lane.PendingCalls]));
                Last = Math.Max(Last, lane.Decisions[^1].Time + entry.Duration);
                lane.PendingCalls.Clear();
                break;
            case TraceKind.ChainEnding:
                (lane.Result, lane.Verdict) = (entry.Result, (int)entry.A);
                break;
            case TraceKind.ChainEnd:
                (lane.Ended, lane.End, lane.Result, lane.Verdict, lane.Steps, lane.Bytes) = (true, entry.Time, entry.Result, (int)entry.A, entry.B, entry.C);
                // Stamped with its batch, which may be before its last hook where those are timed.
                if (lane.Decisions.Count > 0) lane.End = Math.Max(lane.End, lane.Decisions[^1].Time + lane.Decisions[^1].Duration);
                break;
        }
    }

    // The last entry at or before the slot.
    private static LineInfo? LineOf(ProgramSpec program, int site)
    {
        if (site < 0 || program.Lines.IsEmpty) return null;
        int low = 0, high = program.Lines.Length - 1;
        while (low < high)
        {
            var middle = (low + high + 1) / 2;
            if (program.Lines[middle].Instruction <= site) low = middle;
            else high = middle - 1;
        }
        return program.Lines[low].Instruction <= site ? program.Lines[low] : null;
    }
}
