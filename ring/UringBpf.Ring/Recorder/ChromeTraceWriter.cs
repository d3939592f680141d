using System.Diagnostics;
using System.Text.Json;
using UringBpf.Bytecode;

namespace UringBpf.Ring;

/// <summary>
/// Chrome's trace event format. Slices of one track must nest and operations overlap, so a chain takes as many tracks as it
/// has operations in flight at once.
/// </summary>
internal static class ChromeTraceWriter
{
    private const int ProcessId = 1, HooksTrack = 1, FirstTrack = 2;

    public static void Write(RingTrace trace, Stream stream)
    {
        using var json = new Utf8JsonWriter(stream);
        var model = trace.Model;
        json.WriteStartObject();
        json.WriteString("displayTimeUnit", "ns");
        json.WriteStartObject("otherData");
        json.WriteString("backend", trace.Backend);
        json.WriteNumber("events", trace.Recorded);
        json.WriteNumber("lost", trace.Lost);
        json.WriteEndObject();
        json.WriteStartArray("traceEvents");
        Name(json, "process_name", 0, $"UringBpf ring ({trace.Backend})");
        var timed = model.Lanes.Any(lane => lane.Decisions.Any(decision => decision.Duration > 0));
        if (timed) Name(json, "thread_name", HooksTrack, "hooks");
        var track = FirstTrack;
        foreach (var lane in model.Lanes)
        {
            WriteLane(json, model, lane, track);
            track += Math.Max(1, lane.Rows);
        }
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WriteLane(Utf8JsonWriter json, TraceModel model, TraceLane lane, int track)
    {
        var title = lane.Program.Length > 0 ? $"{lane.Name} ({lane.Program})" : lane.Name;
        for (var row = 0; row < Math.Max(1, lane.Rows); row++) Name(json, "thread_name", track + row, row == 0 ? title : $"{title} +{row}");
        foreach (var bar in lane.Bars)
        {
            Begin(json, "X", TraceText.Name(bar.Opcode), "operation", model, bar.Start, track + bar.Row);
            json.WriteNumber("dur", Microseconds(bar.End - bar.Start));
            json.WriteStartObject("args");
            json.WriteString("operation", bar.Text);
            json.WriteString("result", bar.InFlight ? "in flight" : TraceText.Result(bar.Result));
            json.WriteNumber("user_data", bar.UserData);
            if (bar.Cancelled) json.WriteBoolean("cancelled", true);
            if (bar.Intermediate > 0) json.WriteNumber("earlier_completions", bar.Intermediate);
            Line(json, bar.Line);
            json.WriteEndObject();
            json.WriteEndObject();
        }
        foreach (var decision in lane.Decisions)
        {
            var name = TraceText.Verdict(decision.Verdict);
            Begin(json, "i", name, "hook", model, decision.Time, track);
            json.WriteString("s", "t");
            Decision(json, decision);
            json.WriteEndObject();
            if (decision.Duration == 0) continue;
            Begin(json, "X", lane.Program, "hook", model, decision.Time, HooksTrack);
            json.WriteNumber("dur", decision.Duration / 1e3);
            Decision(json, decision);
            json.WriteEndObject();
        }
        if (!lane.Ended) return;
        Begin(json, "i", $"end: {TraceText.Outcome(lane)}", "chain", model, lane.End, track);
        json.WriteString("s", "t");
        json.WriteStartObject("args");
        json.WriteNumber("steps", lane.Steps);
        json.WriteNumber("bytes", lane.Bytes);
        json.WriteEndObject();
        json.WriteEndObject();
    }

    private static void Decision(Utf8JsonWriter json, TraceDecision decision)
    {
        json.WriteStartObject("args");
        json.WriteNumber("step", decision.Step);
        json.WriteString("completed", decision.Completed);
        json.WriteString("verdict", TraceText.Verdict(decision.Verdict));
        for (var i = 0; i < decision.Calls.Count; i++)
        {
            var call = decision.Calls[i];
            json.WriteString($"call {i}", $"{call.Text} = {call.Result}{(call.Line is { } line ? $"  {TraceText.Place(line)}" : "")}");
        }
        Line(json, decision.Line);
        json.WriteEndObject();
    }

    private static void Line(Utf8JsonWriter json, LineInfo? line)
    {
        if (line == null) return;
        json.WriteString("line", TraceText.Place(line));
        json.WriteString("source", line.Text.Trim());
    }

    private static void Name(Utf8JsonWriter json, string kind, int track, string name)
    {
        json.WriteStartObject();
        json.WriteString("ph", "M");
        json.WriteNumber("pid", ProcessId);
        if (track > 0) json.WriteNumber("tid", track);
        json.WriteString("name", kind);
        json.WriteStartObject("args");
        json.WriteString("name", name);
        json.WriteEndObject();
        json.WriteEndObject();
    }

    private static void Begin(Utf8JsonWriter json, string phase, string name, string category, TraceModel model, long time, int track)
    {
        json.WriteStartObject();
        json.WriteString("ph", phase);
        json.WriteString("name", name);
        json.WriteString("cat", category);
        json.WriteNumber("pid", ProcessId);
        json.WriteNumber("tid", track);
        json.WriteNumber("ts", Microseconds(time - model.First));
    }

    private static double Microseconds(long ticks) => ticks * (1e6 / Stopwatch.Frequency);
}
