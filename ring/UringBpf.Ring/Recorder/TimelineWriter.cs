using System.Diagnostics;
using System.Reflection;
using System.Text;
using System.Text.Json;
using UringBpf.Bytecode;

namespace UringBpf.Ring;

/// <summary>The HTML timeline: the page of timeline.html with the trace as JSON in it.</summary>
internal static class TimelineWriter
{
    private const string Marker = "@TRACE@";

    public static void Write(RingTrace trace, Stream stream)
    {
        using var resource = Assembly.GetExecutingAssembly().GetManifestResourceStream("timeline.html")!;
        using var reader = new StreamReader(resource, Encoding.UTF8);
        var page = reader.ReadToEnd();
        var at = page.IndexOf(Marker, StringComparison.Ordinal);
        stream.Write(Encoding.UTF8.GetBytes(page[..at]));
        // The default encoder escapes <, > and &: no text of a program can end the script element.
        using (var json = new Utf8JsonWriter(stream)) WriteTrace(trace, json);
        stream.Write(Encoding.UTF8.GetBytes(page[(at + Marker.Length)..]));
    }

    private static void WriteTrace(RingTrace trace, Utf8JsonWriter json)
    {
        var model = trace.Model;
        json.WriteStartObject();
        json.WriteString("backend", trace.Backend);
        json.WriteNumber("recorded", trace.Recorded);
        json.WriteNumber("lost", trace.Lost);
        json.WriteNumber("span", Nanoseconds(model.Last - model.First));
        json.WriteStartArray("lanes");
        foreach (var lane in model.Lanes) WriteLane(json, model, lane);
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WriteLane(Utf8JsonWriter json, TraceModel model, TraceLane lane)
    {
        json.WriteStartObject();
        json.WriteString("name", lane.Name);
        json.WriteString("program", lane.Program);
        json.WriteNumber("start", Nanoseconds(lane.Start - model.First));
        json.WriteNumber("end", Nanoseconds(lane.End - model.First));
        json.WriteBoolean("ended", lane.Ended);
        json.WriteString("outcome", TraceText.Outcome(lane));
        json.WriteBoolean("failed", lane.Ended && lane.Verdict < 0);
        json.WriteNumber("steps", lane.Ended ? lane.Steps : (ulong)lane.Decisions.Count);
        json.WriteNumber("bytes", lane.Bytes);
        json.WriteNumber("rows", Math.Max(1, lane.Rows));
        json.WriteStartArray("bars");
        foreach (var bar in lane.Bars)
        {
            json.WriteStartObject();
            json.WriteNumber("start", Nanoseconds(bar.Start - model.First));
            json.WriteNumber("end", Nanoseconds(bar.End - model.First));
            json.WriteString("op", TraceText.Name(bar.Opcode));
            json.WriteString("text", bar.Text);
            json.WriteNumber("row", bar.Row);
            json.WriteString("userData", bar.UserData.ToString(System.Globalization.CultureInfo.InvariantCulture));
            json.WriteString("result", bar.InFlight ? "in flight" : TraceText.Result(bar.Result));
            // A timer that runs out says so with -ETIME.
            json.WriteBoolean("failed", !bar.InFlight && bar.Result < 0 && !(bar.Opcode == IoUringOp.Timeout && bar.Result == -Errno.Time));
            if (bar.InFlight) json.WriteBoolean("open", true);
            if (bar.Cancelled) json.WriteBoolean("cancelled", true);
            if (bar.Intermediate > 0) json.WriteNumber("more", bar.Intermediate);
            WriteLine(json, bar.Line);
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteStartArray("marks");
        foreach (var decision in lane.Decisions)
        {
            json.WriteStartObject();
            json.WriteNumber("time", Nanoseconds(decision.Time - model.First));
            if (decision.Duration > 0) json.WriteNumber("duration", decision.Duration);
            json.WriteNumber("step", decision.Step);
            json.WriteString("completed", decision.Completed);
            json.WriteNumber("code", decision.Verdict);
            json.WriteString("verdict", TraceText.Verdict(decision.Verdict));
            WriteLine(json, decision.Line);
            json.WriteStartArray("calls");
            foreach (var call in decision.Calls)
            {
                json.WriteStartObject();
                json.WriteString("text", call.Text);
                json.WriteString("result", call.Result);
                if (call.Failed) json.WriteBoolean("failed", true);
                WriteLine(json, call.Line);
                json.WriteEndObject();
            }
            json.WriteEndArray();
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WriteLine(Utf8JsonWriter json, LineInfo? line)
    {
        if (line == null) return;
        json.WriteString("line", TraceText.Place(line));
        json.WriteString("source", line.Text.Trim());
    }

    private static long Nanoseconds(long ticks) => (long)(ticks * (1e9 / Stopwatch.Frequency));
}
