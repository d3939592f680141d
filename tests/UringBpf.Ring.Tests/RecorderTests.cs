using System.Text;
using System.Text.Json;
using UringBpf.Bytecode;
using UringBpf.Compiler;
using UringBpf.Runtime;
using UringBpf.Verifier;
using Xunit;
using static UringBpf.Ring.Tests.Hooks;

namespace UringBpf.Ring.Tests;

/// <summary>What the flight recorder keeps and how it tells it.</summary>
public sealed class RecorderTests
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    private static BpfProgram CompileWithSites(string program)
    {
        var spec = Load("chains.bpf.o");
        return ProgramCompiler.Compile(ProgramVerifier.VerifyOrThrow(spec.Program(program)), MapSet.Create(spec.Maps), CompilerOptions.Default with { RecordSites = true });
    }

    private static Ring CreateRecording(RecorderOptions? recorder = null) => CreateRing(new RingOptions { Recorder = recorder ?? new RecorderOptions() });

    private static JsonElement Chrome(RingTrace trace)
    {
        using var stream = new MemoryStream();
        trace.WriteChromeJson(stream);
        return JsonDocument.Parse(stream.ToArray()).RootElement;
    }

    private static JsonElement Timeline(RingTrace trace, out string page)
    {
        using var stream = new MemoryStream();
        trace.WriteHtml(stream);
        page = Encoding.UTF8.GetString(stream.ToArray());
        const string open = "<script id=\"trace\" type=\"application/json\">";
        var start = page.IndexOf(open, StringComparison.Ordinal) + open.Length;
        return JsonDocument.Parse(page[start..page.IndexOf("</script>", start, StringComparison.Ordinal)]).RootElement;
    }

    [Fact]
    public async Task Every_event_of_a_chain_is_there_in_order()
    {
        await using var ring = CreateRecording();
        using var program = CompileWithSites("cancel");
        await using var link = ring.Attach(program, new Grants());
        var result = await link.StartAsync(UringOp.Nop()).AsTask().WaitAsync(s_patience);
        Assert.Equal(Verdict.Pass, result.Verdict);
        var trace = await ring.TraceAsync();
        Assert.Equal(0, trace.Lost);
        TraceKind[] expected =
        [
            TraceKind.ChainStart, TraceKind.Submit, TraceKind.Complete,
            // The hook: a timer, an emission of what cancelling another gave, that cancel first, then its own.
            TraceKind.Submit, TraceKind.Call, TraceKind.Call, TraceKind.Call, TraceKind.Hook, TraceKind.Cancel,
            TraceKind.Complete, TraceKind.Call, TraceKind.Hook, TraceKind.ChainEnding, TraceKind.ChainEnd,
        ];
        Assert.Equal(expected, trace.Events.Select(entry => entry.Kind));
        var lane = Assert.Single(trace.Model.Lanes);
        Assert.Equal(("chain 1", "cancel", true, 2ul), (lane.Name, lane.Program, lane.Ended, lane.Steps));
        Assert.Equal(["uring_timeout(timeout 3600 s)", "uring_cancel(8)", "uring_emit(0, 18446744073709551614)", "uring_cancel(7)"],
            lane.Decisions[0].Calls.Select(call => call.Text));
        Assert.Equal(["0", "-ENOENT", "0", "0"], lane.Decisions[0].Calls.Select(call => call.Result));
        Assert.Equal(("nop = 0", 1), (lane.Decisions[0].Completed, lane.Decisions[0].Verdict));
        Assert.Equal(("timeout = -ECANCELED", 0), (lane.Decisions[1].Completed, lane.Decisions[1].Verdict));
        Assert.Equal([false, true], lane.Bars.Select(bar => bar.Cancelled));
        // Each call's line is the one that calls it; a decision's is the last one before the paths out of the program meet.
        Assert.All(lane.Decisions.SelectMany(decision => decision.Calls), call => Assert.Contains(call.Text[..call.Text.IndexOf('(')], call.Line!.Text));
        Assert.Contains("return err ? err : URING_CONTINUE;", lane.Decisions[0].Line!.Text);
        Assert.Contains("ctx->res", lane.Decisions[1].Line!.Text);
        Assert.Contains("uring_timeout", lane.Bars[1].Line!.Text);
    }

    [Fact]
    public async Task Paths_are_told()
    {
        using var folder = new TemporaryFolder();
        var path = folder.File("name", [1]);
        await using var ring = CreateRecording();
        await using var link = ring.Attach(Compile("result"), new Grants { Paths = ["name", "é" + new string('x', TraceEvent.PathBytes - 1)], Directories = [folder.Path] });
        Assert.Equal(Verdict.Pass, (await link.StartAsync(UringOp.OpenAt(0, 0, 1)).AsTask().WaitAsync(s_patience)).Verdict);
        await link.StartAsync(UringOp.OpenAt(0, 1, 1)).AsTask().WaitAsync(s_patience);
        Assert.Equal(-2, await ring.RenameAsync("/there/is/none", "/or/here").AsTask().WaitAsync(s_patience));
        Assert.Equal(-2, await ring.UnlinkAsync("/no").AsTask().WaitAsync(s_patience));
        var trace = await ring.TraceAsync();
        string Text(ulong chain, int bar = 0) => trace.Model.Lanes.Single(lane => lane.Chain == chain).Bars[bar].Text;
        Assert.Equal("openat \"name\" to file 1", Text(1).Replace("file 0", "file 1"));
        // Its end, whole characters alone.
        Assert.Equal($"openat \"…{new string('x', TraceEvent.PathBytes - 1)}\" to file", Text(2)[..^2]);
        Assert.Equal("renameat \"/there/is/none\" \"/or/here\"", Text(0).Split(" fd")[0]);
        Assert.StartsWith("unlinkat \"/no\"", Text(0, 1));
        Assert.Contains("\\u0022name\\u0022", JsonSerializer.Serialize(Text(1)));
        trace.WriteHtml(Stream.Null);
        trace.WriteChromeJson(Stream.Null);
    }

    [Fact]
    public async Task Refused_submissions_and_errors_are_told()
    {
        await using var ring = CreateRecording();
        await using var link = ring.Attach(Compile("probe"), new Grants());
        // A read of a file that is not granted.
        await link.StartAsync(UringOp.Nop(), Bytes(UringOp.Read(3, 0, 16, 0))).AsTask().WaitAsync(s_patience);
        var lane = Assert.Single((await ring.TraceAsync()).Model.Lanes);
        var call = lane.Decisions[0].Calls[0];
        Assert.Equal(("uring_submit(read file 3, length 16)", "-EBADF", true), (call.Text, call.Result, call.Failed));
    }

    [Fact]
    public async Task The_hosts_operations_have_a_lane_of_their_own()
    {
        using var folder = new TemporaryFolder();
        using var file = File.OpenHandle(folder.File("data", new byte[100]));
        await using var ring = CreateRecording();
        Assert.Equal(100, await ring.ReadAsync(file, new byte[200], 0).AsTask().WaitAsync(s_patience));
        using var cancellation = new CancellationTokenSource();
        var timer = ring.TimeoutAsync(TimeSpan.FromHours(1), cancellation.Token);
        var lane = Assert.Single((await ring.TraceAsync()).Model.Lanes);
        Assert.Equal("host", lane.Name);
        Assert.EndsWith(", 200 bytes at 0", lane.Bars[0].Text);
        Assert.Equal((100, false, 0), (lane.Bars[0].Result, lane.Bars[0].InFlight, lane.Bars[0].Row));
        Assert.Equal(("timeout 3600 s", true), (lane.Bars[1].Text, lane.Bars[1].InFlight));
        await cancellation.CancelAsync();
        await timer.AsTask().WaitAsync(s_patience);
    }

    [Fact]
    public async Task Overlapping_operations_lie_in_rows_of_their_own()
    {
        await using var ring = CreateRecording();
        await using var link = ring.Attach(Compile("burst"), new Grants(), new ChainLimits { MaxInFlight = 128 });
        await link.StartAsync(UringOp.Nop()).AsTask().WaitAsync(s_patience);
        var lane = Assert.Single((await ring.TraceAsync()).Model.Lanes);
        Assert.Equal((129, 128), (lane.Bars.Count, lane.Rows));
        Assert.Equal(128, lane.Bars.Skip(1).Select(bar => bar.Row).Distinct().Count());
    }

    [Fact]
    public async Task Old_events_give_way_to_new_ones()
    {
        await using var ring = CreateRecording(new RecorderOptions { Events = 1025 });
        await using var link = ring.Attach(Compile("rearm"), new Grants());
        await link.StartAsync(UringOp.Nop(), BitConverter.GetBytes(5000UL)).AsTask().WaitAsync(s_patience);
        var trace = await ring.TraceAsync();
        // Start, 5001 × (submit, complete, hook), ending, end.
        Assert.Equal((15_006, 2048, 15_006 - 2048), (trace.Recorded, trace.Events.Length, trace.Lost));
        Assert.Equal(TraceKind.ChainEnd, trace.Events[^1].Kind);
        var times = trace.Events.Select(entry => entry.Time).ToArray();
        Assert.Equal(times.Order(), times);
        var lane = Assert.Single(trace.Model.Lanes);
        Assert.Equal((false, 5001ul), (lane.StartSeen, lane.Steps));
        Assert.Equal(5000ul, lane.Decisions[^1].Step);
        // What is cut off at the front still makes a picture.
        Assert.Equal(trace.Lost, Timeline(trace, out _).GetProperty("lost").GetInt64());
        Assert.Equal(trace.Lost, Chrome(trace).GetProperty("otherData").GetProperty("lost").GetInt64());
    }

    [Fact]
    public async Task Recording_allocates_nothing()
    {
        await using var ring = CreateRecording(new RecorderOptions { HookDurations = true });
        await using var link = ring.Attach(Compile("rearm"), new Grants());
        var scratch = BitConverter.GetBytes(30_000UL);
        Assert.InRange(await SteadyState.BytesOnOwner(ring, () => link.StartAsync(UringOp.Nop(), scratch).AsTask().WaitAsync(s_patience)), 0, 256);
    }

    [Fact]
    public async Task A_failing_chain_hands_the_record_over()
    {
        var failures = new TaskCompletionSource<RingTrace>(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var ring = CreateRecording(new RecorderOptions { ChainFailed = trace => failures.TrySetResult(trace) });
        await using var link = ring.Attach(Compile("result"), new Grants());
        await link.StartAsync(UringOp.Nop(7, 0)).AsTask().WaitAsync(s_patience);
        Assert.False(failures.Task.IsCompleted);
        await link.StartAsync(UringOp.Nop(-5, 0)).AsTask().WaitAsync(s_patience);
        var trace = await failures.Task.WaitAsync(s_patience);
        Assert.Equal(TraceKind.ChainEnd, trace.Events[^1].Kind);
        Assert.Equal(-5, trace.Model.Lanes[^1].Verdict);
    }

    [Fact]
    public async Task The_last_record_is_handed_over_before_disposing_completes()
    {
        RingTrace? last = null;
        var ring = CreateRecording(new RecorderOptions { Exiting = trace => last = trace });
        await using (var link = ring.Attach(Compile("hang"), new Grants()))
        {
            var chain = link.StartAsync(UringOp.Nop(), BitConverter.GetBytes(3UL));
            await link.DisposeAsync();
            Assert.Equal(-125, (await chain.AsTask().WaitAsync(s_patience)).Verdict);
        }
        await ring.DisposeAsync();
        Assert.Equal(TraceKind.ChainEnd, last!.Events[^1].Kind);
        Assert.All(last.Model.Lanes[0].Bars, bar => Assert.False(bar.InFlight));

        var failing = CreateRecording(new RecorderOptions { Exiting = _ => throw new InvalidOperationException("no room") });
        await Assert.ThrowsAsync<InvalidOperationException>(() => failing.DisposeAsync().AsTask());
    }

    [Fact]
    public async Task Both_files_say_what_happened()
    {
        await using var ring = CreateRecording(new RecorderOptions { HookDurations = true });
        using var program = CompileWithSites("cancel");
        await using var link = ring.Attach(program, new Grants());
        await link.StartAsync(UringOp.Nop()).AsTask().WaitAsync(s_patience);
        var trace = await ring.TraceAsync();

        var events = Chrome(trace).GetProperty("traceEvents").EnumerateArray().ToList();
        var names = events.Where(e => e.GetProperty("name").GetString() == "thread_name").Select(e => e.GetProperty("args").GetProperty("name").GetString());
        Assert.Equal(["hooks", "chain 1 (cancel)"], names);
        Assert.Equal(["nop", "timeout"], events.Where(e => e.GetProperty("ph").GetString() == "X" && e.GetProperty("cat").GetString() == "operation").Select(e => e.GetProperty("name").GetString()!));
        Assert.Equal(["continue", "pass"], events.Where(e => e.GetProperty("ph").GetString() == "i" && e.GetProperty("cat").GetString() == "hook").Select(e => e.GetProperty("name").GetString()!));
        Assert.All(events, e => Assert.True(!e.TryGetProperty("dur", out var length) || length.GetDouble() >= 0));

        var timeline = Timeline(trace, out var page);
        var mark = timeline.GetProperty("lanes")[0].GetProperty("marks")[0];
        Assert.Equal("continue", mark.GetProperty("verdict").GetString());
        Assert.StartsWith("chains.bpf.c:", mark.GetProperty("line").GetString());
        Assert.True(mark.GetProperty("duration").GetInt64() > 0);
        // One file that needs nothing else.
        foreach (var reference in (string[])["http:", "https:", "src=", "@import", "url("]) Assert.DoesNotContain(reference, page);
    }

    [Fact]
    public async Task Tracing_takes_a_recorder_and_a_known_extension()
    {
        await using var plain = CreateRing();
        Assert.Equal("UB4514", (await Assert.ThrowsAsync<BpfException>(() => plain.TraceAsync().AsTask())).Code);
        Assert.Equal("UB4511", Assert.Throws<BpfException>(() => Ring.Create(new RingOptions { Recorder = new RecorderOptions { Events = 1023 } })).Code);
        Assert.Equal("UB4511", Assert.Throws<BpfException>(() => Ring.Create(new RingOptions { Recorder = new RecorderOptions { Events = (1 << 24) + 1 } })).Code);
        Assert.Throws<ArgumentException>(() => RingTrace.CheckPath("trace.txt"));
        var ring = CreateRecording();
        await ring.DisposeAsync();
        Assert.Equal("UB4503", (await Assert.ThrowsAsync<BpfException>(() => ring.TraceAsync().AsTask())).Code);
    }
}
