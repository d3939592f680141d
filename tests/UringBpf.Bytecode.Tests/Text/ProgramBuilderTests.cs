using Xunit;

namespace UringBpf.Bytecode.Tests.Text;

public sealed class ProgramBuilderTests
{
    private static readonly MapSpec s_map = new() { Name = "counts", Type = MapType.Array, KeySize = 4, ValueSize = 8, MaxEntries = 1 };

    [Fact]
    public void BuildsWhatTheAssemblerReads()
    {
        var built = new ProgramBuilder(name: "all")
            .Move(Register.R6, Register.R1)
            .LoadImmediate(Register.R7, 0x1122334455667788)
            .Label("loop")
            .Load(Register.R2, Register.R6, 4, 32).LoadSigned(Register.R3, Register.R6, -1, 8)
            .Alu(Operation.SignedDivide, Register.R2, 7, 32).Negate(Register.R2).MoveSignExtend(Register.R4, Register.R2, 16).Swap(Operation.ByteSwap, Register.R4, 32)
            .Store(Register.R10, -8, Register.R2).Store(Register.R10, -16, -1, 16)
            .Atomic(Operation.AtomicFetchAdd, Register.R10, -8, Register.R3)
            .JumpIf(Operation.JumpSignedLess, Register.R2, Register.R3, "out", 32).JumpIf(Operation.JumpSet, Register.R2, 9, "out")
            .MayGoto("out").LongJump("loop")
            .Label("out")
            .LoadMap(Register.R1, s_map).LoadMapValue(Register.R2, s_map, 4).LoadFunction(Register.R3, "callback")
            .Call(HelperPrototypes.KtimeGetNs).Call("callback").Call(Register.R5).Jump("end")
            .Label("end").Exit()
            .Label("callback").Move(Register.R0, 0).Exit()
            .Build();
        var text = """
            r6 = r1
            r7 = 0x1122334455667788 ll
            loop:
            r2 = *(u32 *)(r6 + 4)
            r3 = *(s8 *)(r6 - 1)
            w2 s/= 7
            r2 = -r2
            r4 = (s16)r2
            r4 = bswap32 r4
            *(u64 *)(r10 - 8) = r2
            *(u16 *)(r10 - 16) = -1
            r3 = atomic_fetch_add((u64 *)(r10 - 8), r3)
            if w2 s< w3 goto out
            if r2 & 9 goto out
            may_goto out
            gotol loop
            out:
            r1 = counts ll
            r2 = map_val(counts) + 4 ll
            r3 = code_addr(callback) ll
            call bpf_ktime_get_ns
            call callback
            callx r5
            goto end
            end: exit
            callback: r0 = 0
            exit
            """;
        Assert.Equal(Assembler.Assemble(text, [s_map]), built.Instructions);
        Assert.Equal([s_map], built.Maps);
        Assert.Equal(2, BytecodeChecker.Check(built).Length);
    }

    [Fact]
    public void RefusesWhatDoesNotExist()
    {
        Assert.Throws<ArgumentException>(() => new ProgramBuilder().Load(Register.R1, Register.R2, 0, 24));
        Assert.Throws<ArgumentException>(() => new ProgramBuilder().Alu(Operation.Exit, Register.R1, 1));
        Assert.Equal("UB1122", Assert.Throws<BpfException>(() => new ProgramBuilder().Jump("nowhere").Build()).Code);
        Assert.Equal("UB1123", Assert.Throws<BpfException>(() => new ProgramBuilder().Label("a").Label("a")).Code);
        var far = new ProgramBuilder().Jump("end");
        for (var i = 0; i < 32768; i++) far.Move(Register.R0, 0);
        Assert.Equal("UB1125", Assert.Throws<BpfException>(() => far.Label("end").Exit().Build()).Code);
    }
}
