using UringBpf.Bytecode;
using Xunit;

namespace UringBpf.Runtime.Tests;

/// <summary>The checked interpreter: results of good programs, and a fault with the right reason for each way to go wrong.</summary>
public sealed class CheckedInterpreterTests
{
    private static readonly MapSpec s_numbers = new() { Name = "numbers", Type = MapType.Array, KeySize = 4, ValueSize = 8, MaxEntries = 4 };

    private static ProgramSpec Program(string text, ProgramType? type = null) => new()
    {
        Name = "test",
        Type = type ?? ProgramTypes.Raw,
        Instructions = Assembler.Assemble(text, [s_numbers]),
        Maps = text.Contains("numbers", StringComparison.Ordinal) ? [s_numbers] : [],
    };

    private static CheckedResult Run(ProgramSpec spec, int contextBytes = 16)
    {
        using var maps = MapSet.Create([s_numbers]);
        using var interpreter = new CheckedInterpreter(spec, maps) { InstructionBudget = 10_000 };
        return interpreter.Run(new byte[contextBytes]);
    }

    private const string LookUp = """
        *(u32 *)(r10 - 4) = 1
        r2 = r10
        r2 += -4
        r1 = numbers ll
        call bpf_map_lookup_elem
        """;

    [Theory]
    [InlineData("r0 = 7\nexit", 7)]
    [InlineData("*(u64 *)(r1 + 8) = 5\nr0 = *(u32 *)(r1 + 8)\nr0 += r2\nexit", 21)]
    [InlineData(LookUp + "\nif r0 == 0 goto +1\n*(u64 *)(r0 + 0) = 9\nr0 = *(u64 *)(r0 + 0)\nexit", 9)]
    [InlineData("*(u64 *)(r10 - 512) = 3\nr6 = 10000\nr1 = 4\ncall double\nexit\ndouble: r0 = r1\nr0 *= 2\nexit", 8)]
    [InlineData("r6 = 500\nnext: r1 = 1\ncall one\nr6 -= 1\nif r6 != 0 goto next\nexit\none: *(u64 *)(r10 - 8) = r1\nr0 = *(u64 *)(r10 - 8)\nexit", 1)]
    [InlineData("*(u64 *)(r10 - 8) = 1\nr2 = 2\nlock *(u64 *)(r10 - 8) += r2\nr0 = *(u64 *)(r10 - 8)\nexit", 3)]
    [InlineData("*(u64 *)(r10 - 8) = 0\nr1 = r10\nr1 += -8\nr2 = 8\ncall bpf_trace_printk\nr0 = 5\nexit", 5)]
    public void Good_programs_give_their_result(string text, ulong expected)
    {
        var result = Run(Program(text));
        Assert.Null(result.Fault);
        Assert.Equal(expected, result.Result);
        Assert.InRange(result.Instructions, 2, 10_000);
    }

    [Theory]
    [InlineData("r0 = *(u8 *)(r1 + 16)\nexit", "UB4010", 0, "1 bytes at context +16, which has 16 bytes")]
    [InlineData("r0 = *(u64 *)(r1 + 9)\nexit", "UB4010", 0, "8 bytes at context +9")]
    [InlineData("r0 = *(u8 *)(r1 - 1)\nexit", "UB4010", 0, "1 bytes at context -1")]
    [InlineData("r0 = 0\n*(u8 *)(r0 + 0) = 1\nexit", "UB4010", 1, "in no memory of the program")]
    [InlineData("r0 = -1\nr0 = *(u64 *)(r0 - 3)\nexit", "UB4010", 1, "in no memory of the program")]
    [InlineData("r0 = *(u8 *)(r10 - 8)\nexit", "UB4010", 0, "stack byte -8")]
    [InlineData("*(u32 *)(r10 - 8) = 0\nr0 = *(u64 *)(r10 - 8)\nexit", "UB4010", 1, "stack byte -4")]
    [InlineData("*(u8 *)(r10 - 513) = 0\nr0 = 0\nexit", "UB4010", 0, "in no memory")]
    [InlineData("*(u8 *)(r10 + 0) = 0\nr0 = 0\nexit", "UB4010", 0, "in no memory")]
    [InlineData("*(u64 *)(r10 - 16) = 1\nr2 = 1\nlock *(u64 *)(r10 - 12) += r2\nr0 = 0\nexit", "UB4010", 2, "no multiple of 8")]
    [InlineData(LookUp + "\n*(u64 *)(r0 + 1) = 1\nexit", "UB4010", 6, "map value +1, which has 8 bytes")]
    [InlineData("*(u64 *)(r10 - 8) = 1\nr1 = 1\ncall f\nr0 = *(u64 *)(r10 - 520)\nexit\nf: *(u64 *)(r10 - 8) = 1\nr0 = 0\nexit", "UB4010", 3, "in no memory")]
    [InlineData("loop: goto loop", "UB4011", 0, "budget of 10000")]
    [InlineData("r0 = r3\nexit", "UB4012", 0, "r3 is read")]
    [InlineData("exit", "UB4012", 0, "r0 is read")]
    [InlineData("call bpf_ktime_get_ns\nr0 = r1\nexit", "UB4012", 1, "r1 is read")]
    [InlineData("r1 = 1\ncall bpf_map_lookup_elem\nexit", "UB4013", 1, "r1 is no map")]
    [InlineData("r1 = numbers ll\nr2 = r10\nr2 += -4\ncall bpf_map_lookup_elem\nexit", "UB4010", 4, "bpf_map_lookup_elem: r2: reads stack byte -4")]
    [InlineData("call 9999\nexit", "UB4013", 0, "9999")]
    [InlineData("call f\nexit\nf: call f\nexit", "UB4013", 2, "frame 9 of 8")]
    [InlineData("r10 += 8\nexit", "UB4014", 0, "r10 is read-only")]
    [InlineData("r10 = *(u64 *)(r1 + 0)\n*(u64 *)(r10 - 8) = 1\nr0 = 0\nexit", "UB4014", 0, "r10 is read-only")]
    [InlineData("r10 = 4096 ll\nr0 = 0\nexit", "UB4014", 0, "r10 is read-only")]
    [InlineData("*(u64 *)(r10 - 8) = 1\nr2 = r10\nr10 = atomic_fetch_add((u64 *)(r2 - 8), r10)\nexit", "UB4014", 2, "r10 is read-only")]
    [InlineData("r10 = load_acquire((u64 *)(r1 + 0))\nr0 = 0\nexit", "UB4014", 0, "r10 is read-only")]
    [InlineData("r0 = 0\nif r0 == 0 goto +9\nexit", "UB4014", 11, "execution left the program")]
    [InlineData("*(u8 *)(r1 + 3) = 1\nr0 = *(u8 *)(r1 + 3)\nr0 = *(u32 *)(r1 + 13)\nexit", "UB4010", 2, "4 bytes at context +13, which has 16 bytes")]
    [InlineData(LookUp + "\n*(u64 *)(r0 + 0) = 1\nr2 = *(u64 *)(r0 + 0)\n*(u64 *)(r0 + 8) = 2\nexit", "UB4010", 8, "map value +8, which has 8 bytes")]
    [InlineData("r0 = 0", "UB4014", 1, "execution left the program")]
    [InlineData("goto -2", "UB4014", -1, "execution left the program")]
    [InlineData("goto +1\nr0 = 1 ll\nexit", "UB4014", 2, "second half")]
    public void Bad_programs_fault(string text, string code, int slot, string reason)
    {
        var result = Run(Program(text));
        Assert.NotNull(result.Fault);
        Assert.Equal((code, slot), (result.Fault.Code, result.Fault.Instruction));
        Assert.Contains(reason, result.Fault.Message, StringComparison.Ordinal);
        Assert.Equal(0ul, result.Result);
    }

    [Theory]
    [InlineData("r0 = *(u64 *)(r1 + 4)\nexit", "in no field of uring_completion")]
    [InlineData("r2 = 1\n*(u32 *)(r1 + 8) = r2\nexit", "writes to res of the context, which is read-only")]
    [InlineData("r2 = *(u64 *)(r1 + 40)\nr0 = *(u8 *)(r2 + 0)\nexit", "in no memory of the program")]
    public void A_context_struct_is_used_by_field(string text, string reason)
    {
        var result = Run(Program(text, ProgramTypes.Completion), 120);
        Assert.Equal("UB4010", result.Fault?.Code);
        Assert.Contains(reason, result.Fault!.Message, StringComparison.Ordinal);
    }

    [Fact]
    public unsafe void Packet_pointers_are_found_behind_32_bit_fields()
    {
        byte[] packet = [11, 22, 33];
        var context = new byte[ProgramTypes.Xdp.Context.HostSize];
        using var interpreter = new CheckedInterpreter(Program("r2 = *(u32 *)(r1 + 0)\nr3 = *(u32 *)(r1 + 4)\nr0 = r3\nr0 -= r2\nr4 = *(u8 *)(r2 + 2)\nr0 += r4\nexit", ProgramTypes.Xdp), null);
        using var beyond = new CheckedInterpreter(Program("r2 = *(u32 *)(r1 + 4)\nr0 = *(u8 *)(r2 + 0)\nexit", ProgramTypes.Xdp), null);
        fixed (byte* bytes = packet)
        {
            BitConverter.TryWriteBytes(context, (ulong)bytes);
            BitConverter.TryWriteBytes(context.AsSpan(8), (ulong)bytes + 3);
            Assert.Equal(36ul, interpreter.Run(context).Result);
            Assert.Contains("buffer +3", beyond.Run(context).Fault!.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Regions_the_host_names_are_memory()
    {
        var memory = GC.AllocateArray<byte>(8, pinned: true);
        memory[3] = 9;
        var address = System.Runtime.InteropServices.Marshal.UnsafeAddrOfPinnedArrayElement(memory, 0);
        var context = BitConverter.GetBytes((long)address);
        using var read = new CheckedInterpreter(Program("r1 = *(u64 *)(r1 + 0)\nr0 = *(u8 *)(r1 + 3)\nexit"));
        using var write = new CheckedInterpreter(Program("r1 = *(u64 *)(r1 + 0)\n*(u8 *)(r1 + 3) = 1\nr0 = 0\nexit"));
        Assert.Equal(9ul, read.Run(context, new MemoryRegion("table", (nuint)address, 8, false)).Result);
        Assert.Contains("writes to table, which is read-only", write.Run(context, new MemoryRegion("table", (nuint)address, 8, false)).Fault!.Message, StringComparison.Ordinal);
        Assert.NotNull(read.Run(context).Fault);
    }

    [Fact]
    public void The_observer_sees_each_instruction_before_it_runs()
    {
        var seen = new List<(int Slot, int Depth, ulong R1)>();
        using var interpreter = new CheckedInterpreter(Program("r1 = 5\ncall f\nexit\nf: r1 += 1\nr0 = r1\nexit"))
        {
            Observer = (slot, depth, registers, _) => seen.Add((slot, depth, registers[1])),
        };
        Assert.Equal(6ul, interpreter.Run([]).Result);
        Assert.Equal([0, 1, 3, 4, 5, 2], seen.Select(step => step.Slot));
        Assert.Equal([0, 0, 1, 1, 1, 0], seen.Select(step => step.Depth));
        Assert.Equal(6ul, seen[3].R1);
    }

    [Fact]
    public void A_function_may_leave_r0_unset_if_nobody_reads_it()
    {
        using var unread = new CheckedInterpreter(Program("call f\nr0 = 3\nexit\nf: exit"));
        using var read = new CheckedInterpreter(Program("call f\nexit\nf: exit"));
        Assert.Equal(3ul, unread.Run([]).Result);
        Assert.Equal(("UB4012", 1), (read.Run([]).Fault!.Code, read.Run([]).Fault!.Instruction));
    }

    [Fact]
    public void A_callback_must_return_a_value()
    {
        using var unset = new CheckedInterpreter(Program("r1 = 2\nr2 = code_addr(f) ll\nr3 = 0\nr4 = 0\ncall bpf_loop\nexit\nf: exit"));
        Assert.Equal("UB4012", unset.Run([]).Fault!.Code);
    }

    [Fact]
    public void What_a_walk_over_a_map_shows_its_callback_is_memory()
    {
        MapSpec[] specs = [new() { Name = "cells", Type = MapType.Array, KeySize = 4, ValueSize = 8, MaxEntries = 3 }];
        using var maps = MapSet.Create(specs);
        // Adds up keys, and writes each value; beyond the value it faults.
        var inside = Program("r1 = map_by_idx(0x0) ll\nr2 = code_addr(f) ll\nr3 = 0\nr4 = 0\ncall 0xa4\nexit\nf: r1 = *(u32 *)(r2 + 0)\n*(u64 *)(r3 + 0) = r1\nr0 = 0\nexit");
        var outside = Program("r1 = map_by_idx(0x0) ll\nr2 = code_addr(f) ll\nr3 = 0\nr4 = 0\ncall 0xa4\nexit\nf: *(u64 *)(r3 + 1) = 0\nr0 = 0\nexit");
        using var good = new CheckedInterpreter(inside with { Maps = [.. specs] }, maps);
        using var bad = new CheckedInterpreter(outside with { Maps = [.. specs] }, maps);
        Assert.Equal((3ul, null), (good.Run([]).Result, good.Run([]).Fault));
        Assert.Equal("UB4010", bad.Run([]).Fault!.Code);
    }

    [Fact]
    public void A_context_that_is_too_short_is_refused()
    {
        using var interpreter = new CheckedInterpreter(Program("r0 = 0\nexit", ProgramTypes.Completion));
        Assert.Equal("UB4002", Assert.Throws<BpfException>(() => interpreter.Run(new byte[100])).Code);
        interpreter.Dispose();
        Assert.Throws<ObjectDisposedException>(() => interpreter.Run(new byte[120]));
    }

    [Fact]
    public void Maps_that_are_disposed_or_missing_are_refused_and_the_thread_can_run_others()
    {
        MapSpec[] specs = [new() { Name = "cells", Type = MapType.Array, KeySize = 4, ValueSize = 8, MaxEntries = 3 }];
        var program = Program("r1 = map_val(map_by_idx(0x0)) + 0x0 ll\nr0 = *(u64 *)(r1 + 0)\nexit") with { Maps = [.. specs] };
        var maps = MapSet.Create(specs);
        using var good = new CheckedInterpreter(program, maps);
        Assert.Equal((0ul, null), (good.Run([]).Result, good.Run([]).Fault));
        maps.Dispose();
        Assert.Throws<ObjectDisposedException>(() => good.Run([]));
        using var missing = new CheckedInterpreter(program, MapSet.Empty);
        Assert.Throws<KeyNotFoundException>(() => missing.Run([]));
        using var other = new CheckedInterpreter(Program("r0 = 4\nexit"));
        Assert.Equal(4ul, other.Run([]).Result);
    }
}
