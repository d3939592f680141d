using UringBpf.Bytecode;
using Xunit;

namespace UringBpf.Runtime.Tests;

/// <summary>Runs of one thread share stack and budget: one inside another is refused.</summary>
public sealed unsafe class NestedRunTests
{
    private static BpfProgram? s_inner;

    [Fact]
    public void A_program_that_a_program_calls_is_refused_and_the_thread_can_run_again()
    {
        using var inner = new FakeProgram(&Return7, MapSet.Empty);
        using var outer = new FakeProgram(&RunInner, MapSet.Empty);
        s_inner = inner;
        Assert.Equal("UB4007", Assert.Throws<BpfException>(() => outer.Run([])).Code);
        Assert.Equal(7ul, inner.Run([]));

        using var interpreter = new CheckedInterpreter(new ProgramSpec { Name = "checked", Type = ProgramTypes.Raw, Instructions = [new(0xb7, 0), new(0x95)] }, MapSet.Empty);
        s_checked = interpreter;
        using var outerOfChecked = new FakeProgram(&RunChecked, MapSet.Empty);
        Assert.Equal("UB4007", Assert.Throws<BpfException>(() => outerOfChecked.Run([])).Code);
        Assert.Null(interpreter.Run([]).Fault);
    }

    private static CheckedInterpreter? s_checked;

    private static ulong Return7(nint self, byte* context, ulong length, ExecutionState* state) => 7;

    private static ulong RunInner(nint self, byte* context, ulong length, ExecutionState* state) => s_inner!.Run([]);

    private static ulong RunChecked(nint self, byte* context, ulong length, ExecutionState* state) => s_checked!.Run([]).Result;
}
