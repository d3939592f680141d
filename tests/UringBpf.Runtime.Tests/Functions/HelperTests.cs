using System.Text;
using UringBpf.Bytecode;
using Xunit;

namespace UringBpf.Runtime.Tests;

public sealed unsafe class HelperTests
{
    [Fact]
    public void Every_prototype_has_its_code_but_the_tail_call()
    {
        var missing = PrototypeTable.BuiltIn.All.Where(prototype => FunctionRegistry.BuiltIn.Find(prototype) == null);
        Assert.Equal([HelperPrototypes.TailCall], missing);
        foreach (var prototype in PrototypeTable.BuiltIn.All.Except([HelperPrototypes.TailCall]))
        {
            var code = FunctionRegistry.BuiltIn.Find(prototype)!;
            Assert.Equal(prototype.Arguments.Length, code.Arity);
            Assert.NotEqual(0, code.Pointer);
        }
    }

    [Fact]
    public void No_helper_is_both_offered_and_refused()
    {
        Assert.DoesNotContain(HelperPrototypes.All, helper => RefusedHelpers.Find(helper.Id) != null);
        Assert.Equal("bpf_probe_read_kernel", RefusedHelpers.Find(113)?.Name);
        Assert.Null(RefusedHelpers.Find(12345));
    }

    [Fact]
    public void Packet_helpers_are_for_packet_programs()
    {
        Assert.True(ProgramTypes.Socket.Allows(HelperPrototypes.SkbLoadBytes));
        Assert.True(ProgramTypes.Xdp.Allows(HelperPrototypes.XdpLoadBytes));
        Assert.False(ProgramTypes.Raw.Allows(HelperPrototypes.SkbLoadBytes));
        Assert.False(ProgramTypes.Completion.Allows(HelperPrototypes.XdpLoadBytes));
        Assert.False(ProgramTypes.Xdp.Allows(KfuncPrototypes.Crc32c));
        Assert.True(ProgramTypes.Completion.Allows(KfuncPrototypes.Crc32c));
        Assert.True(ProgramTypes.Raw.Allows(KfuncPrototypes.IteratorNew));
    }

    [Fact]
    public void Specialised_map_functions_do_what_the_general_ones_do()
    {
        foreach (var type in new[] { MapType.Array, MapType.Hash, MapType.LruHash, MapType.PerCpuArray, MapType.PerCpuHash, MapType.LruPerCpuHash })
        {
            foreach (var keySize in type is MapType.Array or MapType.PerCpuArray ? [4] : new[] { 4, 8, 12 })
            {
                var spec = MapSpecs.Spec(type, keySize, 8, 4);
                using var map = BpfMap.Create(spec);
                var key = MapSpecs.Key(keySize, 2);
                var value = 99L;
                fixed (byte* k = key)
                {
                    Assert.Equal(0ul, Call(HelperPrototypes.MapUpdate, spec, (ulong)map.Header, (ulong)k, (ulong)&value, 0));
                    var address = Call(HelperPrototypes.MapLookup, spec, (ulong)map.Header, (ulong)k);
                    Assert.Equal(99, *(long*)address);
                    Assert.Equal(MapOps.Lookup((ulong)map.Header, (ulong)k, ExecutionSlot.Current), address);
                    var deleted = Call(HelperPrototypes.MapDelete, spec, (ulong)map.Header, (ulong)k);
                    Expect.Status(type is MapType.Array or MapType.PerCpuArray ? Expect.Einval : 0, deleted);
                }
            }
        }

        static ulong Call(FunctionPrototype prototype, MapSpec spec, params ulong[] arguments)
        {
            var code = FunctionRegistry.BuiltIn.Specialize(prototype, spec)!;
            Assert.Equal(arguments.Length, code.Arity);
            var state = ExecutionSlot.Current;
            var p = code.Pointer;
            return (code.Arity, code.TakesState) switch
            {
                (2, false) => ((delegate*<ulong, ulong, ulong>)p)(arguments[0], arguments[1]),
                (2, true) => ((delegate*<ulong, ulong, ExecutionState*, ulong>)p)(arguments[0], arguments[1], state),
                (4, false) => ((delegate*<ulong, ulong, ulong, ulong, ulong>)p)(arguments[0], arguments[1], arguments[2], arguments[3]),
                _ => ((delegate*<ulong, ulong, ulong, ulong, ExecutionState*, ulong>)p)(arguments[0], arguments[1], arguments[2], arguments[3], state),
            };
        }
    }

    [Fact]
    public void Clocks_run_and_agree()
    {
        var first = SystemFunctions.KtimeGetNs();
        Thread.Sleep(20);
        var second = SystemFunctions.KtimeGetNs();
        Assert.InRange(second - first, 15_000_000ul, ulong.MaxValue / 2);
        // Between two readings of the first clock, however long the machine takes for them.
        var unix = Unix();
        var (coarse, boot, jiffies, tai) = (SystemFunctions.KtimeGetCoarseNs(), SystemFunctions.KtimeGetBootNs(), SystemFunctions.Jiffies64(), SystemFunctions.KtimeGetTaiNs());
        var third = SystemFunctions.KtimeGetNs();
        Assert.InRange(coarse, second - 50_000_000, third);
        Assert.InRange(boot + 1_000_000, second, ulong.MaxValue);
        Assert.InRange(jiffies, second / 4_000_000, third / 4_000_000 + 1);
        // Leap seconds: the system may know of none.
        Assert.InRange(tai, unix - 5_000_000_000, Unix() + 60_000_000_000);

        static ulong Unix() => (ulong)DateTimeOffset.UtcNow.ToUnixTimeMilliseconds() * 1_000_000;
    }

    [Fact]
    public void Random_numbers_differ()
    {
        ExecutionState state = new() { RandomState = 1 };
        var numbers = new HashSet<ulong>();
        for (var i = 0; i < 1000; i++) numbers.Add(SystemFunctions.GetPrandomU32(&state));
        Assert.InRange(numbers.Count, 995, 1000);
        Assert.All(numbers, number => Assert.InRange(number, 0ul, uint.MaxValue));
    }

    [Fact]
    public void The_thread_says_who_it_is()
    {
        Assert.Equal((uint)Environment.ProcessId, SystemFunctions.GetCurrentPidTgid() >> 32);
        Assert.NotEqual(0u, (uint)SystemFunctions.GetCurrentPidTgid());
        var name = new byte[32];
        var cut = new byte[3];
        var thread = new Thread(() =>
        {
            fixed (byte* buffer = name) Assert.Equal(0ul, SystemFunctions.GetCurrentComm((ulong)buffer, 32));
            fixed (byte* buffer = cut) Assert.Equal(0ul, SystemFunctions.GetCurrentComm((ulong)buffer, 3));
        })
        { Name = "bpf-thread" };
        Array.Fill(name, (byte)'x');
        thread.Start();
        thread.Join();
        if (OperatingSystem.IsLinux()) Assert.Equal("bpf-thread", Encoding.ASCII.GetString(name).TrimEnd('\0'));
        Assert.Equal(0, cut[2]);
    }

    [Theory]
    // RFC 1071's example words 0001 f203 f4f5 f6f7 sum to ddf2; little-endian here.
    [InlineData(new byte[0], new byte[] { 0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7 }, 0, 0xf2dd)]
    [InlineData(new byte[] { 1, 2, 3, 4 }, new byte[] { 1, 2, 3, 4 }, 0, 0xffff)]
    [InlineData(new byte[0], new byte[0], 0x12345, 0x2346)]
    public void Csum_diff_is_ones_complement(byte[] from, byte[] to, uint seed, ulong expected)
    {
        fixed (byte* a = from, b = to)
            Assert.Equal(expected, MemoryFunctions.ChecksumDifference((ulong)a, (ulong)from.Length, (ulong)b, (ulong)to.Length, seed));
        Expect.Status(Expect.Einval, MemoryFunctions.ChecksumDifference(0, 2, 0, 0, 0));
    }

    [Theory]
    [InlineData("abc", 3, "abc", 0)]
    [InlineData("abc", 2, "abd", 0)]
    [InlineData("abd", 3, "abc", 1)]
    [InlineData("ab\0x", 4, "ab\0y", 0)]
    [InlineData("ab", 3, "abc", -'c')]
    public void Strncmp_stops_at_the_end_of_either(string first, int size, string second, int expected)
    {
        fixed (byte* a = Encoding.ASCII.GetBytes(first + "\0"), b = Encoding.ASCII.GetBytes(second + "\0"))
            Expect.Status(expected, MemoryFunctions.CompareStrings((ulong)a, (ulong)size, (ulong)b));
    }

    [Fact]
    public void Packet_bytes_are_copied_or_nothing()
    {
        var packet = stackalloc byte[8] { 1, 2, 3, 4, 5, 6, 7, 8 };
        var context = stackalloc ulong[2] { (ulong)packet, (ulong)packet + 8 };
        var buffer = stackalloc byte[8];
        Assert.Equal(8ul, MemoryFunctions.PacketLength((ulong)context));
        Expect.Status(0, MemoryFunctions.LoadXdpBytes((ulong)context, 4, (ulong)buffer, 4));
        Assert.Equal(0x08070605u, *(uint*)buffer);
        Expect.Status(Expect.Einval, MemoryFunctions.LoadXdpBytes((ulong)context, 5, (ulong)buffer, 4));
        Assert.Equal(0u, *(uint*)buffer);
        Expect.Status(Expect.Efault, MemoryFunctions.LoadSkbBytes((ulong)context, uint.MaxValue, (ulong)buffer, 4));
        *buffer = 99;
        Expect.Status(0, MemoryFunctions.StoreXdpBytes((ulong)context, 7, (ulong)buffer, 1));
        Assert.Equal(99, packet[7]);
        Expect.Status(Expect.Einval, MemoryFunctions.StoreXdpBytes((ulong)context, 8, (ulong)buffer, 1));
    }

    [Fact]
    public void Crc32c_is_right_at_every_length_and_place()
    {
        // The check value of CRC-32C (RFC 3720 appendix B.4 uses the same polynomial).
        fixed (byte* digits = "123456789"u8) Assert.Equal(0xE3069283u, Crc32C.Append(0, digits, 9));
        var data = new byte[40_000];
        new Random(1).NextBytes(data);
        fixed (byte* bytes = data)
        {
            for (var length = 0; length < 2000; length++)
                Assert.Equal(Crc32C.AppendBytewise(7, data.AsSpan(length % 8, length)), Crc32C.Append(7, bytes + length % 8, (nuint)length));
            foreach (var length in new[] { 12287, 12288, 12289, 40_000, 39_999 })
                Assert.Equal(Crc32C.AppendBytewise(0, data.AsSpan(0, length)), Crc32C.Append(0, bytes, (nuint)length));

            // The kfunc works on what is there.
            var context = stackalloc byte[120];
            *(byte**)(context + 40) = bytes;
            *(byte**)(context + 48) = bytes + 1000;
            var whole = Crc32C.AppendBytewise(0, data.AsSpan(0, 1000));
            Assert.Equal(whole, HookFunctions.Checksum((ulong)context, 0, 1000));
            Assert.Equal(whole, HookFunctions.Checksum((ulong)context, 0, ulong.MaxValue));
            Assert.Equal(0ul, HookFunctions.Checksum((ulong)context, 1000, 1));
            Assert.Equal(0ul, HookFunctions.Checksum((ulong)context, ulong.MaxValue, 1));
            var half = HookFunctions.Checksum((ulong)context, 0, 300);
            Assert.Equal(whole, HookFunctions.ChecksumUpdate((ulong)context, half, 300, 700));
        }
    }

    [Fact]
    public void Hook_functions_need_a_host()
    {
        ExecutionState state = default;
        Expect.Status(Expect.Eopnotsupp, HookFunctions.Emit(0, 1, 2, &state));
        Assert.Equal(0ul, HookFunctions.Buffer(0, 0, 0, 8, &state));
        HookHost host = new() { Emit = &Add };
        state.Host = &host;
        Assert.Equal(3ul, HookFunctions.Emit(0, 1, 2, &state));
        Expect.Status(-4095, HookFunctions.Emit(0, 0, unchecked((ulong)-5000), &state));
        Expect.Status(Expect.Eopnotsupp, HookFunctions.Submit(0, 0, 0, &state));

        static int Add(ExecutionState* state, ulong userData, ulong value) => (int)(userData + value);
    }

    [Theory]
    [InlineData(0, 3, 0, 3)]
    [InlineData(-2, 1, 0, 3)]
    [InlineData(5, 5, 0, 0)]
    [InlineData(6, 5, Expect.Einval, 0)]
    [InlineData(0, Limits.LoopRounds, 0, -1)]
    [InlineData(0, Limits.LoopRounds + 1, Expect.E2big, 0)]
    [InlineData(int.MinValue, int.MinValue + 2, 0, 2)]
    [InlineData(int.MaxValue - 2, int.MaxValue, 0, 2)]
    [InlineData(int.MinValue, int.MaxValue, Expect.E2big, 0)]
    public void Number_iterators_count(int start, int end, int status, int expected)
    {
        ulong state = 0xdead;
        Expect.Status(status, IteratorFunctions.New((ulong)&state, (uint)start, (uint)end));
        var count = 0;
        for (var next = start; expected >= 0 && IteratorFunctions.Next((ulong)&state) is var address && address != 0; next++, count++)
            Assert.Equal(next, *(int*)address);
        if (expected >= 0) Assert.Equal(expected, count);
        IteratorFunctions.Destroy((ulong)&state);
        Assert.Equal(0ul, IteratorFunctions.Next((ulong)&state));
    }
}
