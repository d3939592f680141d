using UringBpf.Bytecode.Tests.Objects;
using Xunit;
using static UringBpf.Bytecode.Tests.Btf.BtfImage;

namespace UringBpf.Bytecode.Tests.Btf;

/// <summary>BTF, every kind, right and wrong.</summary>
public sealed class BtfReaderTests
{
    private static void Refused(string code, BtfImage image) => Assert.Equal(code, Assert.Throws<BpfException>(() => image.Parse()).Code);

    [Fact]
    public void EveryKindIsRead()
    {
        var image = new BtfImage()
            .Int()
            .Type(KindPointer, "", 1)
            .Type(KindArray, "", 0, rest: [1, 1, 7])
            .Type(KindStruct, "s", 8, 2, flag: true, 0, 1, 0, 0, 1, 5u << 24 | 40)
            .Type(KindUnion, "u", 4, 1, flag: false, 0, 1, 0)
            .Type(KindEnum, "e", 4, 1, flag: true, 0, unchecked((uint)-3))
            .Type(KindForward, "f", 0, flag: true)
            .Type(KindTypedef, "t", 1)
            .Type(KindVolatile, "", 8)
            .Type(KindConst, "", 9)
            .Type(KindRestrict, "", 2)
            .Type(KindPrototype, "", 1, 1, flag: false, 0, 2)
            .Type(KindFunction, "fn", 12, 1)
            .Type(KindVariable, "v", 10, rest: [1])
            .Type(KindDataSection, ".data", 4, 1, flag: false, 14, 0, 4)
            .Type(KindFloat, "double", 8)
            .Type(KindDeclarationTag, "tag", 4, rest: [1])
            .Type(KindTypeTag, "user", 1)
            .Type(KindEnum64, "e64", 8, 1, flag: false, 0, 5, 1);
        var types = image.Parse();
        Assert.Equal(20, types.Types.Length);
        Assert.Equal(new BtfInteger(1, "int", 4, BtfIntegerEncoding.Signed, 0, 32), types[1]);
        Assert.Equal(new BtfPointer(2, 1), types[2]);
        Assert.Equal(new BtfArray(3, 1, 1, 7), types[3]);
        Assert.Equal([new BtfMember("", 1, 0, 0), new BtfMember("", 1, 40, 5)], Assert.IsType<BtfStruct>(types[4]).Members);
        Assert.True(Assert.IsType<BtfStruct>(types[5]).IsUnion);
        Assert.Equal([new BtfEnumerator("", -3)], Assert.IsType<BtfEnum>(types[6]).Values);
        Assert.Equal(new BtfForward(7, "f", true), types[7]);
        Assert.Equal(new BtfModifier(8, "t", BtfModifierKind.Typedef, 1), types[8]);
        Assert.Equal(types[1], types.Resolve(10));
        Assert.Equal([new BtfParameter("", 2)], Assert.IsType<BtfPrototype>(types[12]).Parameters);
        Assert.Equal(new BtfFunction(13, "fn", BtfLinkage.Global, 12), types[13]);
        Assert.Equal(new BtfVariable(14, "v", BtfLinkage.Global, 10), types[14]);
        Assert.Equal([new BtfSectionVariable(14, 0, 4)], Assert.IsType<BtfDataSection>(types[15]).Variables);
        Assert.Equal(new BtfFloat(16, "double", 8), types[16]);
        Assert.Equal(new BtfDeclarationTag(17, "tag", 4, 1), types[17]);
        Assert.Equal(new BtfModifier(18, "user", BtfModifierKind.TypeTag, 1), types[18]);
        Assert.Equal([new BtfEnumerator("", 1L << 32 | 5)], Assert.IsType<BtfEnum>(types[19]).Values);
        Assert.Equal([4, 8, 28, 8, 4, 4, -1], Enumerable.Range(1, 7).Select(types.SizeOf));
    }

    [Fact]
    public void Headers()
    {
        Assert.Equal("UB1201", Assert.Throws<BpfException>(() => BtfSpec.Parse(new byte[23])).Code);
        Refused("UB1201", new BtfImage { Header = bytes => bytes[0] = 0xeb });
        Refused("UB1202", new BtfImage { Header = bytes => bytes[2] = 2 });
        Refused("UB1203", new BtfImage { Header = bytes => bytes[3] = 1 });
        Refused("UB1203", new BtfImage { Header = bytes => bytes[4] = 23 });
        Refused("UB1203", new BtfImage { Header = bytes => bytes[7] = 1 });
        Refused("UB1203", new BtfImage { Header = bytes => bytes[4] = 36 }.Int());
        Refused("UB1204", new BtfImage { Header = bytes => bytes[15] = 0xff }.Int());
        Refused("UB1204", new BtfImage { Header = bytes => bytes[23] = 0xff }.Int());
        Refused("UB1204", new BtfImage { Header = bytes => bytes[16] = 0 }.Int());
        Refused("UB1204", new BtfImage { Header = bytes => bytes[8] = 2 }.Int());
        Refused("UB1205", new BtfImage { Header = bytes => bytes[20] = 0 });
        Refused("UB1205", new BtfImage { Header = bytes => bytes[^1] = 1 });
        Assert.Single(new BtfImage().Parse().Types);
    }

    [Fact]
    public void TruncatedAndUnknownTypes()
    {
        Refused("UB1206", new BtfImage().Words(0, 1u << 24));
        Refused("UB1206", new BtfImage().Type(KindInteger, "int", 4));
        Refused("UB1206", new BtfImage().Type(KindStruct, "s", 4, 0xffff));
        Refused("UB1206", new BtfImage().Type(KindEnum64, "e", 8, 2, false, 0, 0, 0));
        Refused("UB1207", new BtfImage().Type(0, "", 0));
        Refused("UB1207", new BtfImage().Type(20, "", 0));
    }

    [Fact]
    public void ReferencesThatDoNotFit()
    {
        Refused("UB1208", new BtfImage().Type(KindPointer, "", 2));
        Refused("UB1208", new BtfImage().Type(KindPointer, "", uint.MaxValue));
        Refused("UB1208", new BtfImage().Int().Type(KindFunction, "f", 1));
        Refused("UB1208", new BtfImage().Int().Type(KindDataSection, ".data", 4, 1, false, 1, 0, 4));
        Refused("UB1208", new BtfImage().Int().Type(KindDeclarationTag, "t", 1, rest: [0]));
        Refused("UB1208", new BtfImage().Int().Type(KindVariable, "v", 1, rest: [0]).Type(KindPointer, "", 2));
    }

    [Fact]
    public void Names()
    {
        Refused("UB1209", new BtfImage().Words(99, 2u << 24, 0));
        Refused("UB1209", new BtfImage().Type(KindTypedef, "", 0));
        // A thousand names, each the tail of the one before.
        var image = new BtfImage();
        var start = image.Text(new string('x', 1000));
        for (uint i = 0; i < 1000; i++) image.Words(start + i, 7u << 24, 0);
        Refused("UB1209", image);
    }

    [Fact]
    public void TypeInformation()
    {
        Refused("UB1210", new BtfImage().Words(0, 2u << 24 | 1 << 20, 0));
        Refused("UB1210", new BtfImage().Type(KindPointer, "", 0, flag: true));
        Refused("UB1210", new BtfImage().Type(KindPointer, "", 0, count: 1));
        Refused("UB1210", new BtfImage().Int().Type(KindVariable, "v", 1, rest: [3]));
    }

    [Fact]
    public void EndlessTypes()
    {
        Refused("UB1211", new BtfImage().Type(KindConst, "", 1));
        Refused("UB1211", new BtfImage().Type(KindConst, "", 2).Type(KindVolatile, "", 1));
        Refused("UB1211", new BtfImage().Type(KindPointer, "", 2).Type(KindConst, "", 1));
        Refused("UB1211", new BtfImage().Type(KindStruct, "s", 4, 1, false, 0, 1, 0));
        Refused("UB1211", new BtfImage().Type(KindArray, "", 0, rest: [1, 0, 1]));
        Refused("UB1211", Chain(65));
        Assert.Equal(65, Chain(64).Parse().Types.Length);
        // A struct may point to itself.
        Assert.Equal(3, new BtfImage().Type(KindStruct, "s", 8, 1, false, 0, 2, 0).Type(KindPointer, "", 1).Parse().Types.Length);

        static BtfImage Chain(uint length)
        {
            var image = new BtfImage();
            for (uint id = 1; id <= length; id++) image.Type(KindConst, "", id < length ? id + 1 : 0);
            return image;
        }
    }

    [Fact]
    public void SizesAndMembers()
    {
        Refused("UB1212", new BtfImage().Type(KindInteger, "int", 3, rest: [24]));
        Refused("UB1212", new BtfImage().Type(KindInteger, "int", 4, rest: [33]));
        Refused("UB1212", new BtfImage().Type(KindInteger, "int", 4, rest: [8u << 24 | 32]));
        Refused("UB1212", new BtfImage().Type(KindFloat, "f", 3));
        Refused("UB1212", new BtfImage().Type(KindEnum, "e", 3));
        Refused("UB1212", new BtfImage().Type(KindStruct, "s", 0x80000000));
        Refused("UB1213", new BtfImage().Int().Type(KindStruct, "s", 4, 1, false, 0, 1, 33));
        Refused("UB1213", new BtfImage().Int().Type(KindStruct, "s", 4, 1, true, 0, 1, 8u << 24 | 25));
    }

    [Fact]
    public void TheKernelsTypesAreRead()
    {
        const string vmlinux = "/sys/kernel/btf/vmlinux";
        Assert.SkipUnless(File.Exists(vmlinux), "this kernel publishes no BTF");
        var before = GC.GetAllocatedBytesForCurrentThread();
        var bytes = File.ReadAllBytes(vmlinux);
        var types = BtfSpec.Parse(bytes);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 32L * bytes.Length);
        var task = Assert.IsType<BtfStruct>(types.Find<BtfStruct>("task_struct"));
        Assert.Contains(task.Members, member => member.Name == "pid" && types.SizeOf(member.TypeId) == 4);
    }

    [Theory]
    [InlineData(14)]
    [InlineData(16)]
    [InlineData(19)]
    public void CompilersTypesAreRead(int clang)
    {
        var types = Corpus.Load("core_target", clang).Types;
        var shape = types.Find<BtfStruct>("shape")!;
        Assert.Equal(144, shape.Size);
        Assert.Equal(["added", "width", "depth", "", "low", "mid", "high", "shrunk", "level", "points", "next", "color", "tail"], shape.Members.Select(member => member.Name));
        Assert.Equal((7, 84 * 8 + 3), (shape.Members[5].BitSize, shape.Members[5].BitOffset));
    }

    [Fact]
    public void TypesAreSpeltAsInC()
    {
        var types = Corpus.Load("globals").Types;
        string Variable(string name) => types.Format(types.Find<BtfVariable>(name)!.Id);
        Assert.Equal("const volatile __u32 threshold", Variable("threshold"));
        Assert.Equal("const volatile struct settings settings", Variable("settings"));
        Assert.Equal("volatile __u64 also_zeroed[4]", Variable("also_zeroed"));
        Assert.Equal("const char *words[3]", Variable("words"));
        Assert.Equal("int reads(void *ctx)", types.Format(types.Find<BtfFunction>("reads")!.Id));

        var declarators = new BtfImage()
            .Int()
            .Type(KindPrototype, "", 1, 2, flag: false, 0, 1, 0, 0)
            .Type(KindPointer, "", 2)
            .Type(KindConst, "", 3)
            .Type(KindArray, "", 0, rest: [1, 1, 2])
            .Type(KindPointer, "", 5)
            .Type(KindVariable, "f", 4, rest: [0])
            .Type(KindVariable, "a", 6, rest: [0]).Parse();
        Assert.Equal("int (*const f)(int, ...)", declarators.Format(7));
        Assert.Equal("int (*a)[2]", declarators.Format(8));
        Assert.Equal("void", declarators.Format(0));
    }
}
