using UringBpf.Bytecode;
using Xunit;

namespace UringBpf.Runtime.Tests;

public sealed unsafe class ArrayMapTests
{
    [Fact]
    public void Has_its_length_and_no_more()
    {
        using var map = MapSpecs.Create(MapType.Array, 4, 12, 10);
        var header = (ulong)map.Header;
        int last = 9, past = 10, negative = -1;
        var value = stackalloc byte[12];
        Assert.Equal((ulong)map.Header->Data + 9 * 16, ArrayOps.Lookup(header, (ulong)&last));
        Assert.Equal(0ul, ArrayOps.Lookup(header, (ulong)&past));
        Assert.Equal(0ul, ArrayOps.Lookup(header, (ulong)&negative));
        Expect.Status(0, ArrayOps.Update(header, (ulong)&last, (ulong)value, 0));
        Expect.Status(Expect.E2big, ArrayOps.Update(header, (ulong)&past, (ulong)value, 0));
        Expect.Status(Expect.Einval, ArrayOps.Delete(header, (ulong)&last));
    }

    [Theory]
    [InlineData(MapUpdateFlags.Any, 0)]
    [InlineData(MapUpdateFlags.NoExist, Expect.Eexist)]
    [InlineData(MapUpdateFlags.Exist, 0)]
    [InlineData(MapUpdateFlags.Lock, Expect.Einval)]
    [InlineData((MapUpdateFlags)3, Expect.Einval)]
    [InlineData((MapUpdateFlags)8, Expect.Einval)]
    public void Update_flags_give_the_kernels_results(MapUpdateFlags flags, int expected)
    {
        using var map = MapSpecs.Create(MapType.Array, 4, 8, 1);
        Assert.Equal(expected, new BpfArrayMap<long>(map).Update(0, 1, flags));
    }

    [Fact]
    public void Typed_view_reads_and_writes()
    {
        using var map = MapSpecs.Create(MapType.Array, 4, 8, 3);
        var view = new BpfArrayMap<long>(map) { [0] = 10, [2] = 30 };
        Assert.Equal([10, 0, 30], view);
        Assert.Throws<ArgumentOutOfRangeException>(() => view[3]);
        Assert.Throws<ArgumentOutOfRangeException>(() => view[-1] = 1);
        Assert.False(view.TryGetValue(3, out _));
        Assert.Equal("UB4104", Assert.Throws<BpfException>(() => new BpfArrayMap<int>(map)).Code);
        Assert.Equal("UB4104", Assert.Throws<BpfException>(() => new BpfHashMap<int, long>(map)).Code);
    }

    [Fact]
    public void Frozen_data_is_copied_in_and_refuses_the_host()
    {
        var spec = MapSpecs.Spec(MapType.Array, 4, 4, 1) with { InitialValue = [1, 2, 3, 4], IsFrozen = true, IsGlobalData = true };
        using var map = BpfMap.Create(spec);
        var view = new BpfArrayMap<int>(map);
        Assert.Equal(0x04030201, view[0]);
        Assert.Equal(Expect.Eperm, view.Update(0, 5));
        Assert.Equal("UB4105", Assert.Throws<BpfException>(() => view[0] = 5).Code);
        Assert.Equal(0x04030201, view[0]);
    }

    [Fact]
    public void Per_cpu_elements_are_the_slots_own()
    {
        using var map = (KeyedMap)MapSpecs.Create(MapType.PerCpuArray, 4, 4, 5);
        var header = (ulong)map.Header;
        int key = 3, number = 7, past = 5;
        ExecutionState first = new() { Slot = 0 }, other = new() { Slot = ExecutionSlot.Count - 1 };
        Expect.Status(0, ArrayOps.PerCpuUpdate(header, (ulong)&key, (ulong)&number, 0, &other));
        Assert.Equal(0, *(int*)ArrayOps.PerCpuLookup(header, (ulong)&key, &first));
        Assert.Equal(7, *(int*)ArrayOps.PerCpuLookup(header, (ulong)&key, &other));
        Assert.Equal(ArrayOps.PerCpuLookup(header, (ulong)&key, &other), MapOps.LookupPerCpu(header, (ulong)&key, (ulong)other.Slot));
        Assert.Equal(0ul, MapOps.LookupPerCpu(header, (ulong)&key, (ulong)ExecutionSlot.Count));
        Assert.Equal(0ul, ArrayOps.PerCpuLookup(header, (ulong)&past, &first));
        Expect.Status(Expect.E2big, ArrayOps.PerCpuUpdate(header, (ulong)&past, (ulong)&number, 0, &first));

        var all = new byte[map.HostValueSize];
        Assert.Equal(8 * ExecutionSlot.Count, all.Length);
        Assert.True(map.TryGet(BitConverter.GetBytes(key), all));
        Assert.Equal(7, BitConverter.ToInt32(all, all.Length - 8));
        Array.Fill(all, (byte)1);
        Assert.Equal(0, map.Update(BitConverter.GetBytes(key), all));
        Assert.Equal(0x01010101, *(int*)ArrayOps.PerCpuLookup(header, (ulong)&key, &first));
    }

    [Fact]
    public void Wrong_spans_are_refused()
    {
        using var map = (KeyedMap)MapSpecs.Create(MapType.Array, 4, 8, 1);
        Assert.Throws<ArgumentException>(() => map.TryGet(new byte[3], new byte[8]));
        Assert.Throws<ArgumentException>(() => map.TryGet(new byte[4], new byte[7]));
        Assert.Throws<ArgumentException>(() => map.TryGet(new byte[4], new byte[8], MapUpdateFlags.Lock));
        Assert.Throws<ArgumentException>(() => map.Update(new byte[4], new byte[9]));
        Assert.Throws<ArgumentException>(() => map.Delete(new byte[8]));
    }

    [Fact]
    public void Globals_are_live_and_constants_are_not_written()
    {
        var data = MapSpecs.Spec(MapType.Array, 4, 12, 1) with { InitialValue = [1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0], IsGlobalData = true };
        var constants = data with { Name = ".rodata", IsFrozen = true };
        using var maps = MapSet.Create([data, constants]);
        var first = maps.Global<int>(new GlobalVariable("first", data, 0, 4, 0));
        var second = maps.Global<long>(new GlobalVariable("second", data, 4, 8, 0));
        Assert.Equal((1, 2L), (first.Value, second.Value));
        second.Value = -1;
        Assert.Equal((1, -1L), (first.Value, second.Value));
        Assert.Equal(-1, *(int*)(maps[data].Header->Data + 8));
        var constant = maps.Global<int>(new GlobalVariable("c", constants, 4, 4, 0));
        Assert.Equal(2, constant.Value);
        Assert.Equal("UB4105", Assert.Throws<BpfException>(() => constant.Value = 3).Code);
        Assert.Equal("UB4104", Assert.Throws<BpfException>(() => maps.Global<long>(new GlobalVariable("first", data, 0, 4, 0))).Code);
        Assert.Equal("UB4104", Assert.Throws<BpfException>(() => maps.Global<long>(new GlobalVariable("past", data, 8, 8, 0))).Code);
    }

    [Theory]
    [InlineData(MapType.PerCpuArray)]
    [InlineData(MapType.PerCpuHash)]
    [InlineData(MapType.LruPerCpuHash)]
    public void Per_cpu_view_reads_and_writes_every_slot(MapType type)
    {
        using var map = MapSpecs.Create(type, 4, 4, 2);
        var view = new BpfPerCpuMap<int, int>(map);
        var values = Enumerable.Range(0, ExecutionSlot.Count).ToArray();
        Assert.Equal(0, view.Update(1, values));
        var read = new int[ExecutionSlot.Count];
        Assert.True(view.TryGetValues(1, read));
        Assert.Equal(values, read);
        var key = 1;
        Assert.Equal(3, *(int*)MapOps.LookupPerCpu((ulong)map.Header, (ulong)&key, 3));
        Assert.Equal(type != MapType.PerCpuArray, view.Remove(1));
        Assert.Equal(type == MapType.PerCpuArray, view.TryGetValues(1, read));
        Assert.Throws<ArgumentException>(() => view.TryGetValues(1, new int[1]));
    }
}
