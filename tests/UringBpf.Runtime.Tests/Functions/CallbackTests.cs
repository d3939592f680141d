using UringBpf.Bytecode;
using Xunit;

namespace UringBpf.Runtime.Tests;

public sealed unsafe class CallbackTests
{
    [ThreadStatic]
    private static List<ulong>? t_seen;
    [ThreadStatic]
    private static BpfMap? t_map;

    private static ulong Note(nint stopAt, ulong r1, ulong r2, ulong r3, ulong r4, byte* frame, ExecutionState* state)
    {
        t_seen!.Add(r1);
        Assert.Equal(55ul, r2);
        Assert.True(frame == state->StackTop);
        return t_seen.Count == stopAt ? 1ul : 0;
    }

    private static ulong NoteEntry(nint stopAt, ulong map, ulong key, ulong value, ulong context, byte* frame, ExecutionState* state)
    {
        t_seen!.Add(*(uint*)key);
        Assert.Equal(*(uint*)key * 10ul, *(ulong*)value);
        Assert.Equal(55ul, context);
        return t_seen.Count == stopAt ? 1ul : 0;
    }

    private static ulong DeleteEntry(nint self, ulong map, ulong key, ulong value, ulong context, byte* frame, ExecutionState* state)
    {
        t_seen!.Add(*(uint*)key);
        Assert.Equal(0ul, MapOps.Delete(map, key));
        return 0;
    }

    private static ulong ReplaceEntry(nint self, ulong map, ulong key, ulong value, ulong context, byte* frame, ExecutionState* state)
    {
        t_seen!.Add(*(uint*)key);
        var changed = *(ulong*)value + 1;
        Assert.Equal(0ul, MapOps.Update(map, key, (ulong)&changed, 0, state));
        return 0;
    }

    private static ulong Nested(nint self, ulong map, ulong key, ulong value, ulong context, byte* frame, ExecutionState* state)
    {
        var before = *(uint*)key;
        CallbackTarget inner = new() { Invoke = &CountOnly };
        Assert.Equal(4ul, CallbackFunctions.ForEachMapElement((ulong)t_map!.Header, (ulong)&inner, 0, 0, state));
        Assert.Equal(before, *(uint*)key);
        return 0;
    }

    private static ulong CountOnly(nint self, ulong map, ulong key, ulong value, ulong context, byte* frame, ExecutionState* state)
    {
        t_seen!.Add(*(uint*)key);
        return 0;
    }

    private static ulong Fail(nint self, ulong r1, ulong r2, ulong r3, ulong r4, byte* frame, ExecutionState* state)
    {
        state->Fault = RunFault.BudgetExhausted;
        return 0;
    }

    private static ExecutionState* Ready()
    {
        t_seen = [];
        var state = ExecutionSlot.Current;
        state->Reset(1000);
        state->Leave();
        state->CallerFrame = state->StackTop;
        return state;
    }

    [Fact]
    public void Loop_counts_and_stops()
    {
        var state = Ready();
        CallbackTarget target = new() { Invoke = &Note, Self = 3 };
        Assert.Equal(2ul, CallbackFunctions.Loop(2, (ulong)&target, 55, 0, state));
        Assert.Equal([0, 1], t_seen!);
        t_seen!.Clear();
        Assert.Equal(3ul, CallbackFunctions.Loop(10, (ulong)&target, 55, 0, state));
        Assert.Equal(0ul, CallbackFunctions.Loop(0, (ulong)&target, 55, 0, state));
        Expect.Status(Expect.Einval, CallbackFunctions.Loop(1, (ulong)&target, 55, 1, state));
        Expect.Status(Expect.E2big, CallbackFunctions.Loop(Limits.LoopRounds + 1, (ulong)&target, 55, 0, state));
        Assert.Equal(3, t_seen.Count);
        target.Invoke = &Fail;
        Assert.Equal(1ul, CallbackFunctions.Loop(Limits.LoopRounds, (ulong)&target, 55, 0, state));
    }

    [Theory]
    [InlineData(MapType.Array)]
    [InlineData(MapType.PerCpuArray)]
    [InlineData(MapType.Hash)]
    [InlineData(MapType.LruHash)]
    [InlineData(MapType.PerCpuHash)]
    [InlineData(MapType.LruPerCpuHash)]
    public void Every_entry_is_visited_once(MapType type)
    {
        var state = Ready();
        using var map = MapSpecs.Create(type, 4, 8, 100);
        for (uint key = 0; key < 100; key++)
        {
            var value = key * 10ul;
            Assert.Equal(0ul, MapOps.Update((ulong)map.Header, (ulong)&key, (ulong)&value, 0, state));
        }
        CallbackTarget target = new() { Invoke = &NoteEntry };
        Assert.Equal(100ul, CallbackFunctions.ForEachMapElement((ulong)map.Header, (ulong)&target, 55, 0, state));
        Assert.Equal(Enumerable.Range(0, 100).Select(i => (ulong)i), t_seen!.Order());
        t_seen!.Clear();
        target.Self = 7;
        Assert.Equal(7ul, CallbackFunctions.ForEachMapElement((ulong)map.Header, (ulong)&target, 55, 0, state));
        Expect.Status(Expect.Einval, CallbackFunctions.ForEachMapElement((ulong)map.Header, (ulong)&target, 55, 1, state));
        target.Invoke = &Fail;
        Assert.Equal(1ul, CallbackFunctions.ForEachMapElement((ulong)map.Header, (ulong)&target, 55, 0, state));
        state->Fault = RunFault.None;
    }

    [Theory]
    [InlineData(MapType.Hash)]
    [InlineData(MapType.LruHash)]
    public void A_callback_may_delete_and_replace(MapType type)
    {
        var state = Ready();
        using var map = MapSpecs.Create(type, 4, 8, 64);
        var view = new BpfHashMap<uint, ulong>(map);
        for (uint key = 0; key < 64; key++) view[key] = key;
        CallbackTarget target = new() { Invoke = &ReplaceEntry };
        Assert.Equal(64ul, CallbackFunctions.ForEachMapElement((ulong)map.Header, (ulong)&target, 0, 0, state));
        Assert.All(view, entry => Assert.Equal(entry.Key + 1, entry.Value));
        target.Invoke = &DeleteEntry;
        Assert.Equal(64ul, CallbackFunctions.ForEachMapElement((ulong)map.Header, (ulong)&target, 0, 0, state));
        Assert.Equal(0, view.Count);
    }

    [Fact]
    public void Walks_nest()
    {
        var state = Ready();
        using var map = MapSpecs.Create(MapType.Array, 4, 8, 4);
        t_map = map;
        CallbackTarget target = new() { Invoke = &Nested };
        Assert.Equal(4ul, CallbackFunctions.ForEachMapElement((ulong)map.Header, (ulong)&target, 0, 0, state));
        Assert.Equal(16, t_seen!.Count);
    }

    [Fact]
    public void Other_maps_cannot_be_walked()
    {
        var state = Ready();
        using var map = MapSpecs.Create(MapType.Queue, 0, 8, 4);
        CallbackTarget target = new() { Invoke = &NoteEntry };
        Expect.Status(Expect.Einval, CallbackFunctions.ForEachMapElement((ulong)map.Header, (ulong)&target, 0, 0, state));
    }
}
