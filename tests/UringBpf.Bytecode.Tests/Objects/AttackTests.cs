using UringBpf.Bytecode.Tests.Btf;
using Xunit;

namespace UringBpf.Bytecode.Tests.Objects;

/// <summary>Objects that no compiler writes, made to mislead what reads them.</summary>
public sealed class AttackTests
{
    private static readonly Instruction[] s_returns = [new(0xb7), new(0x95)];

    private static void Refused(string code, byte[] bytes, LoadOptions? options = null) =>
        Assert.Equal(code, Assert.Throws<BpfException>(() => ObjectSpec.Load(bytes, options: options)).Code);

    private static byte[] WithData(int bytes, BtfImage btf)
    {
        var writer = new ElfWriter();
        writer.Section(".data", new byte[bytes]);
        writer.Section(".BTF", btf.Bytes());
        return writer.Function("program", writer.Code("raw", s_returns), 0, 2).Bytes();
    }

    /// <summary>Where a lock lies is written to when a value is: a place past the value would be somebody else's memory.</summary>
    [Theory]
    [InlineData(0u, 8, "")]
    [InlineData(4u, 8, "")]
    [InlineData(8u, 8, "UB1314")]
    [InlineData(0u, 2, "UB1314")]
    [InlineData(0x7ffffffcu, 8, "UB1314")]
    public void SpinLocksLieInTheirValue(uint offset, int bytes, string code)
    {
        var object_ = WithData(bytes, new BtfImage()
            .Type(BtfImage.KindStruct, "bpf_spin_lock", 4)
            .Type(BtfImage.KindVariable, "lock", 1, rest: [1])
            .Type(BtfImage.KindDataSection, ".data", 0, 1, rest: [2, offset, 4]));
        if (code.Length > 0) Refused(code, object_);
        else Assert.Equal((int)offset, ObjectSpec.Load(object_).Map(".data").SpinLockOffset);
    }
}
