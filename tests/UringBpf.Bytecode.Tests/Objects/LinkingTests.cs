using Xunit;

namespace UringBpf.Bytecode.Tests.Objects;

/// <summary>Programs, their subprograms, and the calls between them.</summary>
public sealed class LinkingTests
{
    public static TheoryData<string> Variants => [.. Corpus.All().Select(o => o.Name).Where(name => name.StartsWith("linking", StringComparison.Ordinal)).Distinct()];

    [Theory]
    [MemberData(nameof(Variants))]
    public void ProgramsAreTheExportedFunctionsOutsideText(string variant)
    {
        var spec = Corpus.Load(variant);
        Assert.Equal(["first", "second", "third", "unknown"], spec.Programs.Select(program => program.Name));
        Assert.Equal(["raw", "raw", "raw/third", "no/such/type"], spec.Programs.Select(program => program.Section));
        Assert.Equal([ProgramTypes.Raw, ProgramTypes.Raw, ProgramTypes.Raw, null], spec.Programs.Select(program => program.Type));
        Assert.All(spec.Programs, program => Assert.Equal("GPL", program.License));
        Assert.Equal(0x060c00u, spec.KernelVersion);
    }

    [Theory]
    [MemberData(nameof(Variants))]
    public void EachSubprogramIsAppendedOnceAndEveryCallMeetsItsStart(string variant)
    {
        foreach (var program in Corpus.Load(variant).Programs)
        {
            var starts = program.Subprograms.ToDictionary(subprogram => subprogram.Start, subprogram => subprogram.Name);
            Assert.Equal(program.Subprograms.Length, starts.Values.Distinct().Count());
            Assert.Equal(program.Instructions.Length, program.Subprograms.Sum(subprogram => subprogram.Length));
            for (var slot = 0; slot < program.Instructions.Length; slot++)
            {
                var row = OpcodeTable.Find(program.Instructions[slot]);
                Assert.NotNull(row);
                if (row.Operation == Operation.CallSubprogram || row.Wide == WideKind.Function)
                    Assert.Contains(slot + 1 + program.Instructions[slot].Immediate, starts.Keys);
                slot += row.Slots - 1;
            }
        }
        Assert.Equal(["first", "count_up", "multiply", "global_add", "beside"], Corpus.Load(variant).Program("first").Subprograms.Select(s => s.Name));
        Assert.Equal(["second", "beside", "multiply"], Corpus.Load(variant).Program("second").Subprograms.Select(s => s.Name));
    }

    [Fact]
    public void AnObjectLinkedByBpftoolIsItsParts()
    {
        var path = Path.Combine(Path.GetDirectoryName(Corpus.PathOf("linking"))!, "..", "linked", "linked.bpf.o");
        var linked = ObjectSpec.Load(File.ReadAllBytes(path));
        foreach (var part in new[] { "maps", "linking", "externs" }.Select(name => Corpus.Load(name)))
        {
            foreach (var program in part.Programs)
            {
                var same = linked.Program(program.Name);
                Assert.Equal((program.Section, program.Type, program.OwnInstructions), (same.Section, same.Type, same.OwnInstructions));
                Assert.Equal(program.Instructions, same.Instructions);
                Assert.Equal(program.Maps.Select(map => map.Name), same.Maps.Select(map => map.Name));
                Assert.Equal(program.Subprograms.Select(s => (s.Name, s.Start, s.IsGlobal)), same.Subprograms.Select(s => (s.Name, s.Start, s.IsGlobal)));
                Assert.Equal(program.Lines, same.Lines);
            }
            Assert.All(part.Maps, map => Assert.Equal((map.Type, map.KeySize, map.ValueSize, map.MaxEntries), (linked.Map(map.Name).Type, linked.Map(map.Name).KeySize, linked.Map(map.Name).ValueSize, linked.Map(map.Name).MaxEntries)));
        }
    }
}
