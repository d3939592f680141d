using System.Reflection.Emit;

namespace UringBpf.Compiler;

/// <summary>A program's functions as recorded IL. Addresses are symbols, so the same program always gives the same record.</summary>
internal sealed class RecordedCode
{
    private readonly ProgramGraph _program;
    private readonly ProgramEmitter _emitter;
    private readonly List<(MethodKey Key, string Name, Type[] Parameters, RecordingGenerator Code)> _methods = [];

    private RecordedCode(ProgramGraph program, CompilerOptions options)
    {
        _program = program;
        _emitter = new ProgramEmitter(program, options);
    }

    /// <summary>Translates every function.</summary>
    public static RecordedCode Create(ProgramGraph program, CompilerOptions options)
    {
        var code = new RecordedCode(program, options);
        code._emitter.Emit(key =>
        {
            var generator = new RecordingGenerator();
            code._methods.Add((key, code._emitter.Name(key), code._emitter.ParameterTypes(key), generator));
            return new Target(code, generator);
        });
        return code;
    }

    /// <summary>The methods, the entry first.</summary>
    public IReadOnlyList<(MethodKey Key, string Name, Type[] Parameters, RecordingGenerator Code)> Methods => _methods;

    private sealed class Target(RecordedCode code, RecordingGenerator generator) : CodeTarget
    {
        public override ILGenerator Generator => generator;

        public override void BeginInstruction(int slot) => generator.Slot = slot;

        public override bool NamesLocals => true;

        public override void NameLocal(LocalBuilder local, string name) => ((RecordedLocal)local).Name = name;

        public override void LoadMap(int map) => generator.EmitSymbol(OpCodes.Ldc_I8, $"map {MapName(map)}");

        public override void LoadMapValue(int map, long offset) =>
            generator.EmitSymbol(OpCodes.Ldc_I8, offset == 0 ? $"value {MapName(map)}" : $"value {MapName(map)} + {offset}");

        public override void LoadCallback(int subprogram)
        {
            code._emitter.Need(new MethodKey(subprogram, MethodKind.Callback));
            generator.EmitSymbol(OpCodes.Ldc_I8, $"callback {code._program.Functions[subprogram].MethodName}");
        }

        protected override void Call(MethodKey method)
        {
            code._emitter.Need(method);
            generator.EmitSymbol(OpCodes.Call, code._emitter.Name(method));
        }

        private string MapName(int map) => code._program.Verified.Spec.Maps[map].Name;
    }
}
