using UringBpf.Bytecode;
using Xunit;

namespace UringBpf.Runtime.Tests;

[CollectionDefinition(nameof(AloneCollection), DisableParallelization = true)]
public sealed class AloneCollection;

/// <summary>Memory lives as long as something can reach it, and no longer. Alone: they look at process-wide counters.</summary>
[Collection(nameof(AloneCollection))]
public sealed unsafe class MapLifetimeTests
{
    private static readonly MapSpec s_array = MapSpecs.Spec(MapType.Array, 4, 8, 4);

    [Fact]
    public void Disposed_maps_give_their_memory_back()
    {
        Settle();
        var (maps, bytes) = (BpfMap.LiveCount, BpfMap.LiveBytes);
        foreach (var type in Enum.GetValues<MapType>().Where(type => type != MapType.Unspecified))
        {
            var map = CreateAny(type);
            Assert.Equal(maps + 1, BpfMap.LiveCount);
            Assert.True(BpfMap.LiveBytes > bytes);
            map.Dispose();
            map.Dispose();
            Assert.True(map.IsFreed, type.ToString());
        }
        Assert.Equal((maps, bytes), (BpfMap.LiveCount, BpfMap.LiveBytes));
    }

    [Fact]
    public void Forgotten_maps_are_collected()
    {
        Settle();
        var maps = BpfMap.LiveCount;
        MakeAndForget();
        Settle();
        Assert.Equal(maps, BpfMap.LiveCount);

        [System.Runtime.CompilerServices.MethodImpl(System.Runtime.CompilerServices.MethodImplOptions.NoInlining)]
        static void MakeAndForget()
        {
            foreach (var type in Enum.GetValues<MapType>().Where(type => type != MapType.Unspecified)) CreateAny(type);
            var outer = (MapOfMaps)BpfMap.Create(OfMaps(MapType.HashOfMaps));
            outer.Set(1, BpfMap.Create(s_array));
            var set = MapSet.Create([s_array]);
            _ = new FakeProgram(null, set);
            set.Dispose();
        }
    }

    [Fact]
    public void A_set_that_cannot_be_made_leaves_nothing_behind()
    {
        Settle();
        var maps = BpfMap.LiveCount;
        Assert.Throws<BpfException>(() => MapSet.Create([s_array, MapSpecs.Spec(MapType.Queue, 4, 8, 1)]));
        Assert.Equal(maps, BpfMap.LiveCount);
    }

    [Fact]
    public void A_program_keeps_its_maps()
    {
        var set = MapSet.Create([s_array]);
        var map = set["m"];
        var program = new FakeProgram(null, set);
        set.Dispose();
        map.Dispose();
        Assert.False(map.IsFreed);
        program.Dispose();
        Assert.True(program.IsFreed);
        Assert.True(map.IsFreed);
        Assert.Throws<ObjectDisposedException>(() => new FakeProgram(null, set));
    }

    /// <summary>Not only once nothing runs: what the host sees may not depend on what other threads do.</summary>
    [Fact]
    public void The_host_cannot_use_the_maps_of_a_set_it_disposed()
    {
        var set = MapSet.Create([s_array]);
        var map = (KeyedMap)set["m"];
        var program = new FakeProgram(null, set);
        var state = ExecutionSlot.Current;
        state->Reset(0);
        program.Dispose();
        set.Dispose();
        Assert.False(map.IsFreed);
        Assert.Throws<ObjectDisposedException>(() => map.TryGet(new byte[4], new byte[8]));
        state->Leave();
        Reclamation.Collect();
        Assert.True(map.IsFreed);
    }

    [Fact]
    public void Disposing_waits_for_the_run_that_is_active()
    {
        var set = MapSet.Create([s_array]);
        var map = set["m"];
        var program = new FakeProgram(&DisposeAndReport, set);
        s_during = () =>
        {
            // From within the run: as another thread would.
            program.Dispose();
            set.Dispose();
            Reclamation.Collect();
            return program.IsFreed || map.IsFreed;
        };
        Assert.Equal(0ul, program.Run([]));
        Reclamation.Collect();
        Assert.True(program.IsFreed);
        Assert.True(map.IsFreed);
        Assert.Throws<ObjectDisposedException>(() => program.Run([]));
    }

    /// <summary>Their number of entries, and what a typed view first looks at, lie in memory that is gone.</summary>
    [Fact]
    public void Entries_of_a_map_that_is_gone_are_not_counted()
    {
        foreach (var type in new[] { MapType.Hash, MapType.LruHash, MapType.LpmTrie })
        {
            var map = (KeyedMap)BpfMap.Create(new() { Name = "m", Type = type, KeySize = 8, ValueSize = 8, MaxEntries = 4, Flags = type == MapType.LpmTrie ? MapFlags.NoPreallocation : 0 });
            var view = new BpfHashMap<ulong, ulong>(map);
            map.Dispose();
            Assert.True(map.IsFreed);
            Assert.Throws<ObjectDisposedException>(() => map.Count);
            Assert.Throws<ObjectDisposedException>(() => view.Count);
            if (type != MapType.LpmTrie) Assert.Throws<ObjectDisposedException>(() => new BpfHashMap<ulong, ulong>(map));
        }
    }

    [Fact]
    public void The_host_cannot_use_what_it_disposed()
    {
        foreach (var type in new[] { MapType.Array, MapType.Hash, MapType.LpmTrie })
        {
            var map = (KeyedMap)CreateAny(type);
            map.Dispose();
            Assert.Throws<ObjectDisposedException>(() => map.TryGet(new byte[map.Spec.KeySize], new byte[map.HostValueSize]));
            Assert.Throws<ObjectDisposedException>(() => map.Delete(new byte[map.Spec.KeySize]));
        }
        var queue = (QueueMap)CreateAny(MapType.Queue);
        queue.Dispose();
        Assert.Throws<ObjectDisposedException>(() => queue.TryPop(new byte[8]));
        var programs = (ProgramArrayMap)CreateAny(MapType.ProgramArray);
        programs.Dispose();
        Assert.Throws<ObjectDisposedException>(() => programs.Set(0, null));
    }

    [Theory]
    [InlineData(MapType.ArrayOfMaps)]
    [InlineData(MapType.HashOfMaps)]
    public void Inner_maps_live_while_they_can_be_found(MapType type)
    {
        var outer = (MapOfMaps)BpfMap.Create(OfMaps(type));
        BpfMap first = BpfMap.Create(s_array), second = BpfMap.Create(s_array);
        Assert.Equal(0, outer.Set(1, first));
        Assert.Equal(0, outer.Set(2, first));
        first.Dispose();
        Assert.False(first.IsFreed);
        Assert.Same(first, outer.Get(1));
        int key = 1;
        Assert.Equal((ulong)first.Header, MapOps.Lookup((ulong)outer.Header, (ulong)&key, null));

        // A run that looked the map up keeps it.
        var state = ExecutionSlot.Current;
        state->Reset(0);
        Assert.Equal(0, outer.Set(1, second));
        Assert.Equal(0, outer.Set(2, null));
        Assert.False(first.IsFreed);
        state->Leave();
        Reclamation.Collect();
        Assert.True(first.IsFreed);

        second.Dispose();
        outer.Dispose();
        Assert.True(second.IsFreed);
    }

    [Theory]
    [InlineData(MapType.ArrayOfMaps)]
    [InlineData(MapType.HashOfMaps)]
    public void An_inner_map_that_a_run_has_found_outlives_the_host_s_last_reference(MapType type)
    {
        using var outer = (MapOfMaps)BpfMap.Create(OfMaps(type));
        var inner = SetAndForget(outer);
        var state = ExecutionSlot.Current;
        state->Reset(0);
        // Nobody disposed of it: what is left of it is the run's pointer.
        Assert.Equal(0, outer.Set(1, null));
        Gather();
        Assert.False(IsFreed(inner));
        state->Leave();
        Reclamation.Collect();
        Assert.True(IsFreed(inner));

        static void Gather()
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }

        static bool IsFreed(WeakReference<BpfMap> map) => !map.TryGetTarget(out var target) || target.IsFreed;

        [System.Runtime.CompilerServices.MethodImpl(System.Runtime.CompilerServices.MethodImplOptions.NoInlining)]
        static WeakReference<BpfMap> SetAndForget(MapOfMaps outer)
        {
            var map = BpfMap.Create(s_array);
            Assert.Equal(0, outer.Set(1, map));
            return new WeakReference<BpfMap>(map, trackResurrection: true);
        }
    }

    [Fact]
    public void Inner_maps_must_fit()
    {
        using var outer = (MapOfMaps)BpfMap.Create(OfMaps(MapType.ArrayOfMaps));
        foreach (var spec in new[]
        {
            s_array with { ValueSize = 4 }, s_array with { MaxEntries = 5 }, s_array with { Flags = MapFlags.ReadOnlyProgram },
            s_array with { Type = MapType.PerCpuArray }, s_array with { SpinLockOffset = 0 },
        })
        {
            using var inner = BpfMap.Create(spec);
            Assert.Equal("UB4108", Assert.Throws<BpfException>(() => outer.Set(0, inner)).Code);
        }
        using var good = BpfMap.Create(s_array with { Name = "other" });
        Assert.Equal(0, outer.Set(3, good));
        Assert.Equal(Expect.E2big, outer.Set(4, good));
        Assert.Equal(Expect.Enoent, outer.Set(2, null));
        Assert.Null(outer.Get(2));
    }

    [Fact]
    public void A_hash_of_maps_is_full_at_its_capacity()
    {
        using var outer = (MapOfMaps)BpfMap.Create(OfMaps(MapType.HashOfMaps));
        using var inner = BpfMap.Create(s_array);
        for (var i = 0; i < 4; i++) Assert.Equal(0, outer.Set(i, inner));
        Assert.Equal(Expect.E2big, outer.Set(4, inner));
        Assert.Equal(0, outer.Set(0, inner));
    }

    [Fact]
    public void Declared_inner_maps_are_filled_in()
    {
        var outer = OfMaps(MapType.ArrayOfMaps) with { Name = "outer", InitialEntries = [(2, "m")] };
        using var set = MapSet.Create([outer, s_array]);
        Assert.Same(set["m"], ((MapOfMaps)set["outer"]).Get(2));
        Assert.Equal("UB4102", Assert.Throws<BpfException>(() => MapSet.Create([outer])).Code);
    }

    [Fact]
    public void Program_arrays_hold_their_programs()
    {
        var set = MapSet.Create([MapSpecs.Spec(MapType.ProgramArray, 4, 4, 2)]);
        var array = (ProgramArrayMap)set["m"];
        var program = new FakeProgram(&Seven, set);
        array.Set(1, program);
        var entry = ((ProgramArrayEntry**)array.Header->Data)[1];
        Assert.Equal(7ul, entry->EntryPoint(entry->Self, null, 0, null));
        Assert.Equal(77, entry->Self);
        Assert.Same(program, array[1]);
        Assert.Throws<ArgumentOutOfRangeException>(() => array.Set(2, program));
        Assert.Throws<ArgumentOutOfRangeException>(() => array.Set(-1, program));

        program.Dispose();
        Assert.False(program.IsFreed);
        array.Set(1, null);
        Assert.True(program.IsFreed);
        Assert.True(((ProgramArrayEntry**)array.Header->Data)[1] == null);
        Assert.Throws<ObjectDisposedException>(() => array.Set(0, program));
    }

    [Fact]
    public void A_program_in_its_own_array_does_not_leak()
    {
        var set = MapSet.Create([MapSpecs.Spec(MapType.ProgramArray, 4, 4, 2)]);
        var map = set["m"];
        var program = new FakeProgram(&Seven, set);
        ((ProgramArrayMap)map).Set(0, program);
        program.Dispose();
        set.Dispose();
        Assert.True(program.IsFreed);
        Assert.True(map.IsFreed);
    }

    [Fact]
    public void Programs_that_may_not_call_each_other_are_refused()
    {
        var spec = MapSpecs.Spec(MapType.ProgramArray, 4, 4, 2);
        using var set = MapSet.Create([spec]);
        var array = (ProgramArrayMap)set["m"];
        using var caller = new FakeProgram(&Seven, set, contextSize: 16, uses: spec);
        foreach (var target in new[]
        {
            new FakeProgram(&Seven, MapSet.Empty, ProgramTypes.Xdp), new FakeProgram(&Seven, MapSet.Empty, contextSize: 17),
            new FakeProgram(&Seven, MapSet.Empty, writesBuffers: true),
        })
        {
            Assert.Equal("UB4106", Assert.Throws<BpfException>(() => array.Set(0, target)).Code);
            target.Dispose();
            Assert.True(target.IsFreed);
        }
        using var good = new FakeProgram(&Seven, MapSet.Empty, contextSize: 16);
        array.Set(0, good);
        // The other way round: a caller that comes after the entry.
        Assert.Equal("UB4106", Assert.Throws<BpfException>(() => new FakeProgram(&Seven, set, contextSize: 8, uses: spec)).Code);
    }

    private static Func<bool>? s_during;

    private static ulong DisposeAndReport(nint self, byte* context, ulong length, ExecutionState* state) => s_during!() ? 1ul : 0;

    private static ulong Seven(nint self, byte* context, ulong length, ExecutionState* state) => 7;

    private static MapSpec OfMaps(MapType type) => MapSpecs.Spec(type, 4, 4, 4) with { InnerMap = s_array };

    private static BpfMap CreateAny(MapType type) => BpfMap.Create(type switch
    {
        MapType.RingBuffer => MapSpecs.Spec(type, 0, 0, 4096),
        MapType.Queue or MapType.Stack or MapType.BloomFilter => MapSpecs.Spec(type, 0, 8, 4),
        MapType.LpmTrie => MapSpecs.Spec(type, 8, 8, 4, MapFlags.NoPreallocation),
        MapType.ArrayOfMaps or MapType.HashOfMaps => OfMaps(type),
        MapType.ProgramArray => MapSpecs.Spec(type, 4, 4, 4),
        _ => MapSpecs.Spec(type, 4, 8, 4),
    });

    private static void Settle()
    {
        for (var i = 0; i < 3; i++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }
        Reclamation.Collect();
    }
}
