using UringBpf.Bytecode;
using UringBpf.Runtime;

namespace UringBpf.Cli;

/// <summary>A program on one of the three engines, to be run on <see cref="ContextMemory"/>.</summary>
internal abstract class Runner(string engine) : IDisposable
{
    public string Engine { get; } = engine;

    /// <summary>On an engine by name.</summary>
    public static Runner Create(string engine, VerifiedProgram verified, MapSet maps) =>
        engine == Engines.Checked ? Checked(verified.Spec, maps) : Unchecked(engine, verified, maps);

    /// <summary>On the checked interpreter, which needs nobody's proof.</summary>
    public static Runner Checked(ProgramSpec program, MapSet maps, FunctionRegistry? functions = null) =>
        new CheckedRunner(new CheckedInterpreter(program, maps, functions));

    /// <summary>On the JIT or the fast interpreter.</summary>
    public static Runner Unchecked(string engine, VerifiedProgram verified, MapSet maps, FunctionRegistry? functions = null) =>
        new UncheckedRunner(Engines.Create(engine, verified, maps, functions));

    /// <summary>Runs so many times, each on the context the run before left.</summary>
    /// <returns>r0 of the last run.</returns>
    /// <exception cref="BpfException">UB4001 or UB4011 when the budget is used up; UB4010 to UB4014 when the checked interpreter faults.</exception>
    public abstract ulong Run(ContextMemory context, long runs);

    public abstract void Dispose();

    private sealed class UncheckedRunner(BpfProgram program) : Runner(program.Engine)
    {
        public override ulong Run(ContextMemory context, long runs) => context.Run(program, runs);

        public override void Dispose() => program.Dispose();
    }

    private sealed class CheckedRunner(CheckedInterpreter interpreter) : Runner(Engines.Checked)
    {
        public override ulong Run(ContextMemory context, long runs)
        {
            ulong result = 0;
            for (var run = 0L; run < runs; run++)
            {
                var outcome = interpreter.Run(context.Context);
                if (outcome.Fault is { } fault)
                    throw new BpfException(fault.Code, $"{interpreter.Spec.Name}: instruction {fault.Instruction}: {fault.Message}.", fault.Instruction);
                result = outcome.Result;
            }
            return result;
        }

        public override void Dispose() => interpreter.Dispose();
    }
}
