using System.Reflection.Emit;

namespace UringBpf.Compiler;

/// <summary>A program's functions as recorded IL. Addresses are symbols, so the same program always gives the same record.</summary>
internal sealed class RecordedCode
{
    private readonly ProgramGraph _program;
    private readonly RecordingGenerator[] _functions;

    private RecordedCode(ProgramGraph program)
    {
        _program = program;
        _functions = new RecordingGenerator[program.Functions.Length];
    }

    /// <summary>Translates every function.</summary>
    public static RecordedCode Create(ProgramGraph program, CompilerOptions options)
    {
        var code = new RecordedCode(program);
        for (var i = 0; i < code._functions.Length; i++)
        {
            var generator = code._functions[i] = new RecordingGenerator();
            var function = program.Functions[i];
            new FunctionEmitter(program, function, new Target(code, generator), options, function.Frame()).Emit();
        }
        return code;
    }

    /// <summary>The functions' IL in order.</summary>
    public IReadOnlyList<RecordingGenerator> Functions => _functions;

    private sealed class Target(RecordedCode code, RecordingGenerator generator) : CodeTarget
    {
        public override ILGenerator Generator => generator;

        public override void BeginInstruction(int slot) => generator.Slot = slot;

        public override void NameLocal(LocalBuilder local, string name) => ((RecordedLocal)local).Name = name;

        public override void LoadMap(int map) => generator.EmitSymbol(OpCodes.Ldc_I8, $"map {MapName(map)}");

        public override void LoadMapValue(int map, long offset) =>
            generator.EmitSymbol(OpCodes.Ldc_I8, offset == 0 ? $"value {MapName(map)}" : $"value {MapName(map)} + {offset}");

        public override void LoadCallback(int subprogram) => generator.EmitSymbol(OpCodes.Ldc_I8, $"callback {code._program.Functions[subprogram].MethodName}");

        public override void CallFunction(int subprogram) => generator.EmitSymbol(OpCodes.Call, code._program.Functions[subprogram].MethodName);

        private string MapName(int map) => code._program.Verified.Spec.Maps[map].Name;
    }
}
