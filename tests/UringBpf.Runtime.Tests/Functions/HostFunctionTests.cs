using System.Collections.Immutable;
using System.Reflection;
using UringBpf.Bytecode;
using Xunit;

namespace UringBpf.Runtime.Tests;

public sealed unsafe class HostFunctionTests
{
    private static class Good
    {
        [BpfHelper(0x10000, Name = "my_sum", Summary = "Adds up bytes.")]
        [return: BpfReturns(Min = 0, Max = 255 * 64)]
        public static ulong Sum([BpfArgument(ArgumentKind.ReadMemory)] byte* data, [BpfArgument(ArgumentKind.Size)] ulong size, ExecutionState* state)
        {
            ulong sum = 0;
            for (ulong i = 0; i < size; i++) sum += data[i];
            return sum;
        }

        [BpfKfunc(0x10000)]
        private static long my_clock(long* result, long flags)
        {
            *result = flags;
            return 0;
        }

        [BpfKfunc(0x10001, ContextStruct = "uring_completion", MapTypes = [MapType.Hash])]
        [return: BpfReturns(ReturnKind.MapValueOrNull)]
        public static byte* find([BpfArgument(ArgumentKind.Context)] void* context, [BpfArgument(ArgumentKind.Map)] MapHeader* map,
            [BpfArgument(ArgumentKind.MapKey)] void* key) => (byte*)MapOps.Lookup((ulong)map, (ulong)key, null);
    }

    [Fact]
    public void Methods_with_attributes_become_functions()
    {
        var registry = FunctionRegistry.BuiltIn.With(typeof(Good));
        var sum = registry.Prototypes.Helper(0x10000)!;
        Assert.Equal("my_sum", sum.Name);
        Assert.Equal([new("data", ArgumentKind.ReadMemory), new("size", ArgumentKind.Size)], sum.Arguments);
        Assert.Equal((0, 255 * 64), (sum.ReturnMin, sum.ReturnMax));
        var code = registry.Find(sum)!;
        Assert.Equal((2, true), (code.Arity, code.TakesState));
        var bytes = stackalloc byte[3] { 1, 2, 3 };
        Assert.Equal(6ul, ((delegate*<ulong, ulong, ExecutionState*, ulong>)code.Pointer)((ulong)bytes, 3, null));

        var clock = registry.Prototypes.Kfunc("my_clock")!;
        Assert.Equal([new("result", ArgumentKind.ReadWriteMemory, 8), new("flags", ArgumentKind.Scalar)], clock.Arguments);
        Assert.True(ProgramTypes.Raw.Allows(clock));
        var find = registry.Prototypes.Kfunc(0x10001)!;
        Assert.Equal(ReturnKind.MapValueOrNull, find.Returns);
        Assert.Equal([MapType.Hash], find.MapTypes);
        Assert.False(ProgramTypes.Raw.Allows(find));

        // The built-in ones are still there, and the built-in registry is as it was.
        Assert.NotNull(registry.Find(HelperPrototypes.MapLookup));
        Assert.Null(FunctionRegistry.BuiltIn.Prototypes.Helper(0x10000));
    }

    [Fact]
    public void A_prototype_and_a_method_can_be_joined_by_hand()
    {
        var prototype = new FunctionPrototype { Name = "two", Id = 0x20000, Kind = FunctionKind.Helper, Arguments = [new("x", ArgumentKind.Scalar)] };
        var registry = FunctionRegistry.BuiltIn.With(prototype, Method(nameof(Two)));
        Assert.Equal(2ul, ((delegate*<ulong, ulong>)registry.Find(prototype)!.Pointer)(1));
        Assert.Equal("UB4204", Code(() => registry.With(prototype with { Name = "other" }, Method(nameof(Two)))));
        Assert.Equal("UB4204", Code(() => registry.With(prototype with { Id = 0x20001 }, Method(nameof(Two)))));
    }

    [Theory]
    [InlineData(nameof(Instance))]
    [InlineData(nameof(Generic))]
    [InlineData(nameof(TakesInt))]
    [InlineData(nameof(TakesSpan))]
    [InlineData(nameof(ReturnsNothing))]
    [InlineData(nameof(TakesTwo))]
    public void Methods_of_another_shape_are_refused(string name)
    {
        var prototype = new FunctionPrototype { Name = "f", Id = 0x20000, Kind = FunctionKind.Helper, Arguments = [new("x", ArgumentKind.Scalar)] };
        Assert.Equal("UB4201", Code(() => FunctionRegistry.BuiltIn.With(prototype, Method(name))));
    }

    [Fact]
    public void Numbers_below_the_hosts_and_empty_classes_are_refused()
    {
        Assert.Equal("UB4202", Code(() => FunctionRegistry.BuiltIn.With(
            new FunctionPrototype { Name = "f", Id = 500, Kind = FunctionKind.Helper, Arguments = [new("x", ArgumentKind.Scalar)] }, Method(nameof(Two)))));
        Assert.Equal("UB4201", Code(() => FunctionRegistry.BuiltIn.With(typeof(string))));
    }

    public static TheoryData<string, ImmutableArray<Argument>, ReturnKind> BadPrototypes => new()
    {
        { "memory without size", [new("p", ArgumentKind.ReadMemory)], ReturnKind.Scalar },
        { "memory with two sizes", [new("p", ArgumentKind.ReadMemory, 8), new("n", ArgumentKind.Size)], ReturnKind.Scalar },
        { "size without memory", [new("n", ArgumentKind.Size)], ReturnKind.Scalar },
        { "size after a number", [new("x", ArgumentKind.Scalar), new("n", ArgumentKind.SizeOrZero)], ReturnKind.Scalar },
        { "key without map", [new("k", ArgumentKind.MapKey)], ReturnKind.Scalar },
        { "two maps", [new("a", ArgumentKind.Map), new("b", ArgumentKind.Map)], ReturnKind.Scalar },
        { "lock", [new("l", ArgumentKind.SpinLock)], ReturnKind.Void },
        { "callback", [new("f", ArgumentKind.Callback)], ReturnKind.Scalar },
        { "nullable number", [new("x", ArgumentKind.Scalar, Nullable: true)], ReturnKind.Scalar },
        { "value of no map", [new("x", ArgumentKind.Scalar)], ReturnKind.MapValueOrNull },
        { "memory of no size", [new("x", ArgumentKind.Scalar)], ReturnKind.MemoryOrNull },
        { "record", [new("x", ArgumentKind.Scalar)], ReturnKind.RecordOrNull },
    };

    [Theory]
    [MemberData(nameof(BadPrototypes))]
    public void Prototypes_the_verifier_could_not_use_are_refused(string why, ImmutableArray<Argument> arguments, ReturnKind returns)
    {
        Assert.NotEmpty(why);
        var prototype = new FunctionPrototype { Name = "f", Id = 0x20000, Kind = FunctionKind.Kfunc, Arguments = arguments, Returns = returns };
        var method = arguments.Length == 1 ? nameof(Two) : nameof(TakesTwo);
        Assert.Equal("UB4203", Code(() => FunctionRegistry.BuiltIn.With(prototype, Method(method))));
    }

    [Fact]
    public void Empty_ranges_traits_and_names_are_refused()
    {
        var good = new FunctionPrototype { Name = "f", Id = 0x20000, Kind = FunctionKind.Kfunc, Arguments = [new("x", ArgumentKind.Scalar)] };
        Assert.Equal("UB4203", Code(() => FunctionRegistry.BuiltIn.With(good with { ReturnMin = 1, ReturnMax = 0 }, Method(nameof(Two)))));
        Assert.Equal("UB4203", Code(() => FunctionRegistry.BuiltIn.With(good with { Traits = FunctionTraits.TailCall }, Method(nameof(Two)))));
        Assert.Equal("UB4203", Code(() => FunctionRegistry.BuiltIn.With(good with { Name = "" }, Method(nameof(Two)))));
    }

    [Fact]
    public void A_function_without_code_is_refused_when_the_program_is_decoded()
    {
        var functions = FunctionRegistry.BuiltIn.With(typeof(Good));
        var spec = new ProgramSpec { Name = "calls", Type = ProgramTypes.Raw, Instructions = [new(0x85, immediate: 0x10000), new(0x95)], Functions = functions.Prototypes };
        var facts = new InstructionFacts { Reached = true, Map = -1, ConstantKey = -1 };
        var verified = new VerifiedProgram(spec, ProgramTypes.Raw, 0, [new Subprogram("calls", 0, 2)], [facts, facts], Termination.Proved, 2, 0, false, 1);
        Assert.Equal("UB4005", Code(() => InterpretedProgram.Create(verified, MapSet.Empty).Dispose()));
        InterpretedProgram.Create(verified, MapSet.Empty, functions).Dispose();
    }

    private static string Code(Action action) => Assert.Throws<BpfException>(action).Code;

    private static MethodInfo Method(string name) =>
        typeof(HostFunctionTests).GetMethod(name, BindingFlags.Static | BindingFlags.Instance | BindingFlags.NonPublic)!;

    private static ulong Two(ulong x) => 2 * x;

    private static ulong TakesTwo(ulong x, ulong y) => x + y;

    private static ulong TakesInt(int x) => (ulong)x;

    private static ulong TakesSpan(Span<byte> x) => (ulong)x.Length;

    private static void ReturnsNothing(ulong x)
    {
    }

    private static ulong Generic<T>(ulong x) => x;

    private ulong Instance(ulong x) => x + (ulong)GetHashCode();
}
