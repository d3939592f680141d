using UringBpf.Bytecode;
using UringBpf.Compiler;
using UringBpf.Runtime;
using UringBpf.Verifier;
using Xunit;

namespace UringBpf.Engine.Tests;

/// <summary>Functions of a host, called by C programs by symbol and by number: everything a prototype can ask for, on every engine.</summary>
public sealed unsafe class HostFunctionTests
{
    private const int ContextSize = 8;

    private static readonly FunctionRegistry s_registry =
        FunctionRegistry.BuiltIn.With(typeof(Functions)).With(ByHand.Constants, typeof(ByHand).GetMethod(nameof(ByHand.Read))!);

    private static readonly ObjectSpec s_object =
        ObjectSpec.Load(Objects.Bytes("host.bpf.o"), "host.bpf.o", LoadOptions.Default with { Functions = s_registry.Prototypes });

    /// <summary>What programs call. Public: an engine may compile calls to it.</summary>
    public static class Functions
    {
        [BpfHelper(0x10000)]
        public static long host_twice(long number) => 2 * number;

        [BpfKfunc(0x10001)]
        [return: BpfReturns(Min = 0, Max = 255)]
        public static ulong host_sum([BpfArgument(ArgumentKind.ReadMemory)] byte* data, [BpfArgument(ArgumentKind.Size)] ulong size)
        {
            byte sum = 0;
            for (ulong i = 0; i < size; i++) sum += data[i];
            return sum;
        }

        [BpfKfunc(0x10002)]
        public static ulong host_fill([BpfArgument(ArgumentKind.WriteMemory)] byte* data, [BpfArgument(ArgumentKind.Size)] ulong size)
        {
            for (ulong i = 0; i < size; i++) data[i] = (byte)(i * 2);
            return 0;
        }

        [BpfKfunc(0x10003)]
        public static ulong host_stamp([BpfArgument(ArgumentKind.WriteMemory, FixedSize = 8)] ulong* result)
        {
            *result = 77;
            return 0;
        }

        // A pointer without an attribute: memory of one ulong, read and written.
        [BpfKfunc(0x10004)]
        public static ulong host_bump(ulong* counter) => ++*counter;

        [BpfKfunc(0x10005)]
        public static ulong host_optional([BpfArgument(ArgumentKind.ReadMemory, Nullable = true)] byte* data, [BpfArgument(ArgumentKind.SizeOrZero)] ulong size) =>
            data == null ? 1 : *data + size - 1;

        [BpfKfunc(0x10006)]
        public static ulong host_length([BpfArgument(ArgumentKind.Context)] void* context, ExecutionState* state) =>
            context == state->Context ? state->ContextLength : 0;

        [BpfKfunc(0x10007, MapTypes = [MapType.Hash])]
        [return: BpfReturns(ReturnKind.MapValueOrNull)]
        public static ulong host_find([BpfArgument(ArgumentKind.Map)] MapHeader* map, [BpfArgument(ArgumentKind.MapKey)] void* key, ExecutionState* state) =>
            MapOps.Lookup((ulong)map, (ulong)key, state);

        [BpfKfunc(0x10008, MapTypes = [MapType.Hash])]
        public static ulong host_put([BpfArgument(ArgumentKind.Map)] MapHeader* map, [BpfArgument(ArgumentKind.MapKey)] void* key,
            [BpfArgument(ArgumentKind.MapValue)] void* value, ExecutionState* state) => MapOps.Update((ulong)map, (ulong)key, (ulong)value, 0, state);

        [BpfKfunc(0x10009, MapTypes = [MapType.Hash])]
        public static ulong host_take([BpfArgument(ArgumentKind.Map)] MapHeader* map, [BpfArgument(ArgumentKind.MapKey)] void* key,
            [BpfArgument(ArgumentKind.MapValueOut)] ulong* value, ExecutionState* state)
        {
            var found = (ulong*)MapOps.Lookup((ulong)map, (ulong)key, state);
            *value = found == null ? 0 : *found;
            return MapOps.Delete((ulong)map, (ulong)key);
        }

        [BpfKfunc(0x1000a)]
        [return: BpfReturns(ReturnKind.MemoryOrNull)]
        public static byte* host_memory([BpfArgument(ArgumentKind.AllocationSize)] ulong size) => size <= 8 ? Memory() : null;

        [BpfKfunc(0x1000c)]
        public static ulong host_constant([BpfArgument(ArgumentKind.Constant)] ulong number) => number + 1;

        [BpfKfunc(0x1000d)]
        public static ulong host_text([BpfArgument(ArgumentKind.ConstantString)] byte* text)
        {
            ulong length = 0;
            while (text[length] != 0) length++;
            return length;
        }

        [BpfKfunc(0x1000e)]
        [return: BpfReturns(ReturnKind.Void)]
        public static ulong host_nothing(ulong number) => number;

        [ThreadStatic]
        private static byte* t_memory;

        internal static byte* Memory()
        {
            if (t_memory == null) t_memory = (byte*)System.Runtime.InteropServices.NativeMemory.AllocZeroed(8);
            t_memory[7] = 10;
            return t_memory;
        }
    }

    /// <summary>A prototype made by hand, with what attributes do not say.</summary>
    private static class ByHand
    {
        public static readonly FunctionPrototype Constants = new()
        {
            Name = "host_constants",
            Id = 0x1000b,
            Kind = FunctionKind.Kfunc,
            Arguments = [new("size", ArgumentKind.AllocationSize)],
            Returns = ReturnKind.MemoryOrNull,
            Traits = FunctionTraits.ReturnsReadOnly,
        };

        public static byte* Read(ulong size) => size <= 8 ? Functions.Memory() : null;
    }

    public static TheoryData<string, long> Accepted => new()
    {
        { "by_number", 42 }, { "sized_input", 6 }, { "ranged_result", 1 }, { "sized_output", 30 }, { "fixed_output", 77 }, { "in_and_out", 42 },
        { "nullable", 109 }, { "context", ContextSize }, { "map_value", 31 }, { "memory", 15 }, { "constants", 0 }, { "constant", 13 }, { "text", 5 }, { "nothing", 4 },
    };

    // With the check that refuses it.
    public static TheoryData<string, string> Refused => new()
    {
        { "bad_map_value", "UB2110" }, { "bad_output_to_constants", "UB2111" }, { "bad_sized_output", "UB2105" }, { "bad_not_nullable", "UB2303" },
        { "bad_in_and_out", "UB2102" }, { "bad_memory_unchecked", "UB2110" }, { "bad_memory_bounds", "UB2104" }, { "bad_text", "UB2308" },
        { "bad_constants", "UB2120" }, { "bad_map", "UB2305" }, { "bad_constant", "UB2306" }, { "bad_nullable", "UB2304" },
        { "bad_key", "UB2105" }, { "bad_no_size", "UB2304" }, { "bad_fixed_output", "UB2105" }, { "bad_uninitialised", "UB2102" },
        { "bad_memory_size", "UB2306" }, { "bad_sized_input", "UB2102" }, { "bad_context", "UB2303" },
    };

    [Theory]
    [MemberData(nameof(Accepted))]
    public void A_program_that_keeps_to_the_prototype_runs_alike_on_every_engine(string name, long expected)
    {
        var spec = s_object.Program(name);
        var verified = ProgramVerifier.VerifyOrThrow(spec, VerifierOptions.Default with { ContextSize = ContextSize });
        using (var maps = MapSet.Create(s_object.Maps))
        using (var program = ProgramCompiler.Compile(verified, maps, CompilerOptions.Default with { Mode = CompilationMode.Eager, Functions = s_registry }))
        {
            Assert.Equal("jit", program.Engine);
            Assert.Equal(expected, (int)program.Run(new byte[ContextSize]));
        }
        using (var maps = MapSet.Create(s_object.Maps))
        using (var program = InterpretedProgram.Create(verified, maps, s_registry)) Assert.Equal(expected, (int)program.Run(new byte[ContextSize]));
        using (var maps = MapSet.Create(s_object.Maps))
        using (var program = new CheckedInterpreter(spec, maps, s_registry))
        {
            var result = program.Run(new byte[ContextSize]);
            Assert.Null(result.Fault);
            Assert.Equal(expected, (int)result.Result);
        }
    }

    [Theory]
    [MemberData(nameof(Refused))]
    public void A_program_that_does_not_is_rejected(string name, string code)
    {
        var result = ProgramVerifier.Verify(s_object.Program(name), VerifierOptions.Default with { ContextSize = ContextSize });
        Assert.Equal(code, result.Rejection?.Code);
    }

    [Fact]
    public void Every_program_is_in_one_of_the_lists() =>
        Assert.Equal(s_object.Programs.Length, Accepted.Count + Refused.Count);

    [Fact]
    public void An_object_is_refused_where_the_host_lacks_its_function() =>
        Assert.Equal("UB1320", Assert.Throws<BpfException>(() => Objects.Load("host.bpf.o")).Code);
}
