using UringBpf.Bytecode;
using UringBpf.Runtime;

namespace UringBpf.Compiler.Tests;

/// <summary>Subprograms, callbacks, tail calls, packet loads, may_goto and the budget, with and without optimisations.</summary>
public sealed class CallTests
{
    public static TheoryData<string> Variants() => new("straight", "default", "regions");

    private static CompilerOptions Options(string variant) => variant switch
    {
        "straight" => CompilerOptions.Straight,
        "regions" => CompilerOptions.Default with { RegionInstructions = 2, InlineSubprograms = false },
        _ => CompilerOptions.Default,
    };

    [Theory]
    [MemberData(nameof(Variants))]
    public void ASubprogramHasItsOwnFrame(string variant)
    {
        // main: *(r10-8) = 7; r0 = f(5); r0 += *(r10-8).  f: *(r10-8) = r1; r0 = *(r10-8) * 10.
        var program = TestPrograms.Trusted(
        [
            new(0x7a, 10, 0, -8, 7), new(0xb7, 1, immediate: 5), new(0x85, source: 1, immediate: 3),
            new(0x79, 1, 10, -8), new(0x0f, 0, 1), new(0x95),
            new(0x7b, 10, 1, -8), new(0x79, 0, 10, -8), new(0x27, 0, immediate: 10), new(0x95),
        ], null, subprograms: [new("main", 0, 6), new("f", 6, 4)]);
        Assert.Equal(57ul, TestPrograms.Run(program, Options(variant)));
    }

    [Theory]
    [MemberData(nameof(Variants))]
    public void LoopCallsBackOnTheCallersStack(string variant)
    {
        // *(r10-8) = 0; r0 = bpf_loop(10, f, r10 - 8, 0); r0 = r0 * 1000 + *(r10-8).  f(i, ctx): *ctx += i; return i == 6.
        var program = TestPrograms.Trusted(
        [
            new(0x7a, 10, 0, -8), new(0xb7, 1, immediate: 10), new(0x18, 2, 4, 0, 10), new(),
            new(0xbf, 3, 10), new(0x07, 3, immediate: -8), new(0xb7, 4), new(0x85, immediate: 181),
            new(0x27, 0, immediate: 1000), new(0x79, 1, 10, -8), new(0x0f, 0, 1), new(0x95), new(0x95),
            new(0x7b, 10, 1, -8), new(0x79, 3, 2), new(0x79, 1, 10, -8), new(0x0f, 3, 1), new(0x7b, 2, 3),
            new(0xb7, 0), new(0x55, 1, 0, 1, 6), new(0xb7, 0, immediate: 1), new(0x95),
        ], null, subprograms: [new("main", 0, 13), new("f", 13, 9)]);
        Assert.Equal(7021ul, TestPrograms.Run(program, Options(variant)));
    }

    [Theory]
    [MemberData(nameof(Variants))]
    public void TailCallsGoThroughTheArrayAndStopAtTheLimit(string variant)
    {
        var array = new MapSpec { Name = "programs", Type = MapType.ProgramArray, KeySize = 4, ValueSize = 4, MaxEntries = 2 };
        // ctx[0]++; tail_call(ctx, programs, ctx[8]); r0 = 99.
        Instruction[] code =
        [
            new(0x79, 2, 1), new(0x07, 2, immediate: 1), new(0x7b, 1, 2), new(0x79, 3, 1, 8), new(0x18, 2, 5), new(),
            new(0x85, immediate: 12), new(0xb7, 0, immediate: 99), new(0x95),
        ];
        var verified = TestPrograms.Trusted(code, null, maps: [array], termination: Termination.Metered);
        using var maps = MapSet.Create([array]);
        using var program = ProgramCompiler.Compile(verified, maps, Options(variant));
        var programs = (ProgramArrayMap)maps[array];
        programs.Set(0, program);
        var context = new byte[16];
        Assert.Equal(99ul, program.Run(context));
        Assert.Equal(1 + Limits.TailCalls, BitConverter.ToInt32(context));
        // An empty entry, then one past the end: the call falls through.
        foreach (var index in new[] { 1, 2 })
        {
            context = new byte[16];
            context[8] = (byte)index;
            Assert.Equal(99ul, program.Run(context));
            Assert.Equal(1, context[0]);
        }
    }

    [Theory]
    [MemberData(nameof(Variants))]
    public void APacketLoadOutsideEndsTheProgramWithZero(string variant)
    {
        // r6 = ctx; r0 = packet16[2]; if it loads: r7 = r0; r0 = packet8[r7 & 7]; r0 += 1000.
        var program = TestPrograms.Trusted(
            [new(0xbf, 6, 1), new(0x28, immediate: 2), new(0xbf, 7, 0), new(0x57, 7, immediate: 7), new(0x50, 0, 7), new(0x07, 0, immediate: 1000), new(0x95)], null);
        // 0x1201 & 7 = 1: the second byte.
        Assert.Equal(1042ul, RunOnPacket(program, Options(variant), [9, 42, 0x12, 0x01, 9, 9]));
        Assert.Equal(0ul, RunOnPacket(program, Options(variant), [9, 9, 1]));
    }

    [Theory]
    [MemberData(nameof(Variants))]
    public void MayGotoLeavesWhenItsRoundsAreUsedUp(string variant)
    {
        // r0 = 0; loop: may_goto out; r0 += 1; goto loop; out: exit.
        var program = TestPrograms.Trusted([new(0xb7, 0), new(0xe5, offset: 2), new(0x07, 0, immediate: 1), new(0x05, offset: -3), new(0x95)], null);
        Assert.Equal((ulong)Limits.MaxInstructionsPerRun / Limits.InstructionsPerMayGoto, TestPrograms.Run(program, Options(variant)));
    }

    [Theory]
    [MemberData(nameof(Variants))]
    public void AnEndlessMeteredProgramIsStopped(string variant)
    {
        var program = TestPrograms.Trusted([new(0xb7, 0), new(0x05, offset: -2)], null, termination: Termination.Metered);
        Assert.Equal("UB4001", Assert.Throws<BpfException>(() => TestPrograms.Run(program, Options(variant))).Code);
        // In a callback of a helper: the helper stops, and the program after it.
        var callback = TestPrograms.Trusted(
        [
            new(0xb7, 1, immediate: 100), new(0x18, 2, 4, 0, 5), new(), new(0xb7, 3), new(0xb7, 4), new(0x85, immediate: 181), new(0x95),
            new(0xb7, 0), new(0x05, offset: -2),
        ], null, termination: Termination.Metered, subprograms: [new("main", 0, 7), new("f", 7, 2)]);
        Assert.Equal("UB4001", Assert.Throws<BpfException>(() => TestPrograms.Run(callback, Options(variant))).Code);
    }

    [Theory]
    [InlineData("straight")]
    [InlineData("default")]
    [InlineData("interpreter")]
    public void ARunDoesNotExpireWhileItHoldsARecordOrALock(string variant)
    {
        var ring = new MapSpec { Name = "ring", Type = MapType.RingBuffer, MaxEntries = 4096 };
        var locked = new MapSpec { Name = "locked", Type = MapType.Array, KeySize = 4, ValueSize = 16, MaxEntries = 1, SpinLockOffset = 0 };
        // Most of the budget is used up; then a record and a lock are held for more than is left of it. The last loop ends the run.
        const int rounds = (int)Limits.MaxInstructionsPerRun / 2 - 100;
        var program = TestPrograms.Trusted(
        [
            .. Assembler.Assemble($"""
            r6 = {rounds}
            burn: r6 += -1
            if r6 != 0 goto burn
            r1 = map_by_idx(0) ll
            r2 = 8
            r3 = 0
            call bpf_ringbuf_reserve
            if r0 == 0 goto out
            r7 = r0
            *(u64 *)(r7 + 0) = 5
            r6 = 1000
            holding: r6 += -1
            if r6 != 0 goto holding
            r1 = r7
            r2 = 0
            call bpf_ringbuf_submit
            r7 = map_val(map_by_idx(1)) + 0 ll
            r1 = r7
            call bpf_spin_lock
            r6 = 1000
            locked: r6 += -1
            if r6 != 0 goto locked
            r1 = r7
            call bpf_spin_unlock
            *(u64 *)(r7 + 8) = 7
            last: goto last
            out: r0 = 0
            exit
            """, [ring, locked], PrototypeTable.BuiltIn),
        ], null, termination: Termination.Metered, maps: [ring, locked]);
        using var maps = MapSet.Create([ring, locked]);
        using BpfProgram compiled = variant == "interpreter" ? InterpretedProgram.Create(program, maps) : ProgramCompiler.Compile(program, maps, Options(variant));
        Assert.Equal("UB4001", Assert.Throws<BpfException>(() => compiled.Run([])).Code);
        Assert.Equal(1, ((RingBufferMap)maps[ring]).Consume(record => Assert.Equal(5ul, BitConverter.ToUInt64(record))));
        Assert.True(new BpfArrayMap<(ulong Lock, ulong Value)>(maps[locked]).TryGetValue(0, out var value));
        Assert.Equal(7ul, value.Value);
        // The next run would wait for ever if the lock were still held.
        Assert.Equal("UB4001", Assert.Throws<BpfException>(() => compiled.Run([])).Code);
    }

    private static unsafe ulong RunOnPacket(VerifiedProgram program, CompilerOptions options, byte[] packet)
    {
        using var compiled = ProgramCompiler.Compile(program, MapSet.Empty, options);
        var state = ExecutionSlot.Current;
        state->Reset(1000);
        fixed (byte* pointer = packet)
        {
            state->Packet = pointer;
            state->PacketLength = (ulong)packet.Length;
            var result = compiled.EntryPoint(compiled.Self, pointer, 0, state);
            state->Leave();
            state->Packet = null;
            state->PacketLength = 0;
            return result;
        }
    }

    /// <summary>A host's code for a map helper is what runs, where the map is known too.</summary>
    [Theory]
    [MemberData(nameof(Variants))]
    public void AHostsOwnMapHelperIsCalledWhereTheMapIsKnown(string variant)
    {
        var update = typeof(CallTests).GetMethod(nameof(Update), System.Reflection.BindingFlags.NonPublic | System.Reflection.BindingFlags.Static)!;
        var functions = new FunctionRegistry(FunctionRegistry.BuiltIn.Prototypes.All.Select(prototype =>
            prototype == HelperPrototypes.MapUpdate ? new FunctionImplementation(prototype, update, 4, false) : FunctionRegistry.BuiltIn.Find(prototype)!));
        MapSpec[] specs = [new() { Name = "hash", Type = MapType.Hash, KeySize = 4, ValueSize = 8, MaxEntries = 4 }];
        var code = Assembler.Assemble("""
            *(u64 *)(r10 - 8) = 5
            r1 = hash ll
            r2 = r10
            r2 += -8
            r3 = r2
            r4 = 0
            call bpf_map_update_elem
            exit
            """, specs);
        var verified = Verifier.ProgramVerifier.VerifyOrThrow(new ProgramSpec { Name = "test", Type = ProgramTypes.Raw, Instructions = code, Maps = [.. specs] });
        using var maps = MapSet.Create(specs);
        foreach (var mode in (CompilationMode[])[CompilationMode.Eager, CompilationMode.InterpreterOnly])
        {
            using var program = ProgramCompiler.Compile(verified, maps, Options(variant) with { Functions = functions, Mode = mode });
            Assert.Equal(-77, (long)program.Run([]));
        }
    }

    private static ulong Update(ulong map, ulong key, ulong value, ulong flags) => unchecked((ulong)-77L);
}
