using UringBpf.Bytecode;
using UringBpf.Compiler;
using UringBpf.Runtime;
using UringBpf.Verifier;
using Xunit;

namespace UringBpf.Engine.Tests;

/// <summary>A program type of the host's own: section, context struct with data, verdicts, functions; verified, and run on every engine.</summary>
public sealed unsafe class HostTypeTests
{
    /// <summary>As the C struct.</summary>
    private struct Request
    {
        public ulong Id;
        public uint Kind;
        public uint Tries;
        public byte* Data;
        public byte* DataEnd;
        public fixed byte Notes[16];
    }

    private static readonly FunctionPrototype s_route = new()
    {
        Name = "request_route",
        Id = 0x10000,
        Kind = FunctionKind.Kfunc,
        Arguments = [new("request", ArgumentKind.Context), new("to", ArgumentKind.Scalar)],
        ContextStruct = "request",
        ReturnMin = 0,
        ReturnMax = 2,
    };

    private static readonly ProgramType s_request = new()
    {
        Name = "request",
        Sections = ["request"],
        ReturnMin = 0,
        ReturnMax = 2,
        ReturnsInt32 = true,
        ExcludedHelpers = ["bpf_get_prandom_u32"],
        Context = new()
        {
            StructName = "request",
            Size = sizeof(Request),
            HostSize = sizeof(Request),
            Fields =
            [
                new("id", 0, 8),
                new("kind", 8, 4),
                new("tries", 12, 4, access: FieldAccess.ReadWrite),
                new("data", 16, 8, ContextFieldKind.BufferStart),
                new("data_end", 24, 8, ContextFieldKind.BufferEnd),
                new("notes", 32, 16, ContextFieldKind.FlatMemory, FieldAccess.ReadWrite),
            ],
        },
    };

    private static readonly FunctionRegistry s_registry = FunctionRegistry.BuiltIn.With(s_route, typeof(HostTypeTests).GetMethod(nameof(Route))!);

    private static readonly ObjectSpec s_object = ObjectSpec.Load(Objects.Bytes("hosttype.bpf.o"), "hosttype.bpf.o",
        LoadOptions.Default with { Functions = s_registry.Prototypes, Types = [.. ProgramTypes.All, s_request] });

    /// <summary>What programs call. Public: an engine may compile calls to it.</summary>
    public static ulong Route(void* request, ulong to) => to == 7 ? 2UL : ((Request*)request)->Id & 1;

    [Fact]
    public void Sections_choose_the_type()
    {
        Assert.Equal("request", s_object.Program("route").Type!.Name);
        Assert.Equal("request", s_object.Program("late").Type!.Name);
    }

    [Theory]
    [InlineData("bad_verdict", "UB2501")]
    [InlineData("bad_write", "UB2107")]
    [InlineData("bad_data", "UB2108")]
    [InlineData("bad_written_data", "UB2120")]
    [InlineData("bad_notes", "UB2114")]
    [InlineData("bad_helper", "UB2302")]
    [InlineData("bad_type", "UB2302")]
    public void What_the_type_does_not_allow_is_refused(string program, string code) =>
        Assert.Equal(code, ProgramVerifier.Verify(s_object.Program(program)).Rejection?.Code);

    [Theory]
    [InlineData("jit")]
    [InlineData("interpreter")]
    [InlineData("checked")]
    public void It_runs_on_every_engine(string engine)
    {
        var verified = ProgramVerifier.VerifyOrThrow(s_object.Program("route"));
        using var maps = MapSet.Create(s_object.Maps);
        var data = stackalloc byte[2] { 5, 99 };
        var request = new Request { Id = 3, Kind = 7, Tries = 0, Data = data, DataEnd = data + 2 };
        Assert.Equal(2UL, Run(ref request));
        Assert.Equal((1u, (byte)99), (request.Tries, request.Notes[5]));
        request.Kind = 1;
        Assert.Equal(1UL, Run(ref request));
        request.DataEnd = data + 1;
        Assert.Equal(0UL, Run(ref request));
        Assert.Equal(2u, request.Tries);

        ulong Run(ref Request request)
        {
            var context = new Span<byte>(System.Runtime.CompilerServices.Unsafe.AsPointer(ref request), sizeof(Request));
            if (engine == "checked")
            {
                using var interpreter = new CheckedInterpreter(verified.Spec, maps, s_registry);
                var result = interpreter.Run(context);
                Assert.True(result.Fault is null, result.Fault?.ToString());
                return result.Result;
            }
            using BpfProgram program = engine == "jit" ? ProgramCompiler.Compile(verified, maps, new CompilerOptions { Functions = s_registry }) : InterpretedProgram.Create(verified, maps, s_registry);
            return program.Run(context);
        }
    }
}
