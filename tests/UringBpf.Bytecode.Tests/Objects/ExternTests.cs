using System.Collections.Immutable;
using Xunit;

namespace UringBpf.Bytecode.Tests.Objects;

/// <summary>Kfuncs, weak externs and kernel configuration.</summary>
public sealed class ExternTests
{
    public static TheoryData<int> Clangs => [.. Corpus.Clangs];

    private static IEnumerable<(int Slot, OpcodeRow Row)> Rows(ProgramSpec program)
    {
        for (var slot = 0; slot < program.Instructions.Length; slot++)
        {
            var row = OpcodeTable.Find(program.Instructions[slot])!;
            yield return (slot, row);
            slot += row.Slots - 1;
        }
    }

    [Theory]
    [MemberData(nameof(Clangs))]
    public void KfuncsAreCalledByTheirNumber(int clang)
    {
        var hook = Corpus.Load("externs", clang).Program("hook");
        Assert.Equal(ProgramTypes.Completion, hook.Type);
        var calls = Rows(hook).Where(at => at.Row.Operation == Operation.CallKfunc).Select(at => hook.Instructions[at.Slot]).ToArray();
        Assert.Equal([KfuncPrototypes.Emit.Id, KfuncPrototypes.Timeout.Id], calls.Select(call => call.Immediate));
        Assert.All(calls, call => Assert.Equal(0, call.Offset));
    }

    [Theory]
    [MemberData(nameof(Clangs))]
    public void AWeakExternThatIsMissingIsZeroAndItsCallPoisoned(int clang)
    {
        var hook = Corpus.Load("externs", clang).Program("hook");
        var numbers = Rows(hook).Where(at => at.Row.Operation == Operation.LoadImmediate64 && at.Row.Wide == WideKind.Number)
            .Select(at => hook.Instructions[at.Slot].WideImmediate(hook.Instructions[at.Slot + 1]));
        // One that exists, and one that does not.
        Assert.Equal([1L, 0L], numbers);
        var poisoned = Assert.Single(hook.Poisoned);
        Assert.Contains("'not_there'", poisoned.Value);
        Assert.NotNull(OpcodeTable.Find(hook.Instructions[poisoned.Key]));
    }

    [Theory]
    [MemberData(nameof(Clangs))]
    public void ConfigurationIsFrozenData(int clang)
    {
        var options = new LoadOptions { KernelConfiguration = ImmutableDictionary<string, long>.Empty.Add("CONFIG_HZ", 250).Add("LINUX_KERNEL_VERSION", 0x060d01) };
        var hook = Corpus.Load("externs", clang, options).Program("hook");
        var map = Assert.Single(hook.Maps);
        Assert.Equal((".kconfig", true, true), (map.Name, map.IsFrozen, map.IsGlobalData));
        // LINUX_KERNEL_VERSION (4 bytes), CONFIG_HZ (8) and CONFIG_BPF (1), wherever they lie.
        var values = Rows(hook).Where(at => at.Row.Operation == Operation.LoadImmediate64 && at.Row.Wide == WideKind.MapValueIndex)
            .Select(at => map.InitialValue[hook.Instructions[at.Slot + 1].Immediate])
            .ToArray();
        Assert.Equal<byte>([0, 1, 250], values.Order());
    }

    [Fact]
    public void TheKernelVersionHasADefault()
    {
        var map = Corpus.Load("externs").Map(".kconfig");
        Assert.Contains(6 << 16 | 12 << 8, Enumerable.Range(0, map.ValueSize / 4).Select(i => BitConverter.ToInt32(map.InitialValue.AsSpan()[(i * 4)..])));
    }

    [Fact]
    public void HostFunctionsAreFoundByName()
    {
        var prototype = new FunctionPrototype { Name = "no_such_kfunc", Id = 0x10000, Kind = FunctionKind.Kfunc, Arguments = [new Argument("ctx", ArgumentKind.Context)] };
        var bytes = File.ReadAllBytes(Path.Combine(Path.GetDirectoryName(Corpus.PathOf("linking"))!, "..", "refused", "UB1320-kfunc.bpf.o"));
        var program = ObjectSpec.Load(bytes, options: new LoadOptions { Functions = new PrototypeTable([prototype]) }).Program("program");
        Assert.Contains(program.Instructions, instruction => OpcodeTable.Find(instruction)?.Operation == Operation.CallKfunc && instruction.Immediate == 0x10000);
        Assert.Same(prototype, program.Functions.Kfunc(0x10000));
    }
}
