using System.Reflection;
using System.Reflection.Emit;
using System.Runtime.CompilerServices;
using UringBpf.Runtime;

namespace UringBpf.Compiler;

/// <summary>A program's functions as DynamicMethods: what runs. Collectable once nothing holds it.</summary>
internal sealed unsafe class DynamicCode
{
    private readonly ProgramGraph _program;
    private readonly MapSet _maps;
    private readonly DynamicMethod[] _methods;

    private DynamicCode(ProgramGraph program, MapSet maps)
    {
        _program = program;
        _maps = maps;
        _methods = new DynamicMethod[program.Functions.Length];
    }

    /// <summary>Translates every function and has RyuJIT compile it.</summary>
    public static DynamicCode Create(ProgramGraph program, MapSet maps, CompilerOptions options)
    {
        var code = new DynamicCode(program, maps);
        for (var i = 0; i < code._methods.Length; i++)
        {
            var function = program.Functions[i];
            code._methods[i] = new DynamicMethod(function.MethodName, typeof(ulong), function.ParameterTypes, typeof(CompiledCode).Module, skipVisibility: true);
        }
        for (var i = 0; i < code._methods.Length; i++)
            new FunctionEmitter(program, program.Functions[i], new Target(code, code._methods[i].GetILGenerator()), options, program.Functions[i].Frame()).Emit();
        // Callees first, so that no run waits for RyuJIT.
        for (var i = code._methods.Length - 1; i >= 0; i--) code.Compile(i);
        return code;
    }

    /// <summary>The methods in order of function; keep them alive as long as their pointers are used.</summary>
    public IReadOnlyList<DynamicMethod> Methods => _methods;

    /// <summary>The entry's address.</summary>
    public nint EntryPoint => Pointer(_methods[0]);

    private void Compile(int function) => RuntimeHelpers.PrepareMethod(GetMethodDescriptor(_methods[function]));

    private static nint Pointer(DynamicMethod method) => GetMethodDescriptor(method).GetFunctionPointer();

    // RuntimeMethodHandle of a DynamicMethod: not public, and `ldftn` on one is not allowed.
    [UnsafeAccessor(UnsafeAccessorKind.Method, Name = "GetMethodDescriptor")]
    private static extern RuntimeMethodHandle GetMethodDescriptor(DynamicMethod method);

    private sealed class Target(DynamicCode code, ILGenerator generator) : CodeTarget
    {
        public override ILGenerator Generator => generator;

        public override void LoadMap(int map) =>
            generator.Emit(OpCodes.Ldc_I8, (long)code._maps[code._program.Verified.Spec.Maps[map]].Header);

        public override void LoadMapValue(int map, long offset) =>
            generator.Emit(OpCodes.Ldc_I8, (long)code._maps[code._program.Verified.Spec.Maps[map]].Header->Data + offset);

        public override void LoadCallback(int subprogram) => throw new Bytecode.BpfException("UB3001", "callbacks");

        public override void CallFunction(int subprogram) => generator.EmitCall(OpCodes.Call, code._methods[subprogram], null);
    }
}
