using System.Reflection.Emit;
using System.Runtime.CompilerServices;
using UringBpf.Runtime;

namespace UringBpf.Compiler;

/// <summary>A program's functions as DynamicMethods: what runs. Collectable once nothing holds it.</summary>
internal sealed unsafe class DynamicCode
{
    private readonly ProgramGraph _program;
    private readonly MapSet _maps;
    private readonly ProgramEmitter _emitter;
    private readonly Dictionary<MethodKey, DynamicMethod> _methods = [];
    private readonly Dictionary<int, int> _callbacks = [];
    // Pinned, and as long-lived as the code that has their addresses in it.
    private CallbackTarget[]? _callbackTargets;

    private readonly string _tag;

    private DynamicCode(ProgramGraph program, MapSet maps, CompilerOptions options, string tag)
    {
        _tag = tag;
        _program = program;
        _maps = maps;
        _emitter = new ProgramEmitter(program, options);
    }

    /// <summary>Translates every function and has RyuJIT compile it.</summary>
    /// <param name="program">The program.</param>
    /// <param name="maps">Its maps; they stay as long as the code.</param>
    /// <param name="options">What to do.</param>
    /// <param name="tag">Put behind the names of the methods.</param>
    public static DynamicCode Create(ProgramGraph program, MapSet maps, CompilerOptions options, string tag = "")
    {
        var code = new DynamicCode(program, maps, options, tag);
        code._emitter.Emit(key => new Target(code, code.Method(key).GetILGenerator()));
        // All of them now, so that no run waits for RyuJIT.
        foreach (var method in code._methods.Values) RuntimeHelpers.PrepareMethod(GetMethodDescriptor(method));
        foreach (var (subprogram, index) in code._callbacks)
        {
            code._callbackTargets![index].Invoke =
                (delegate*<nint, ulong, ulong, ulong, ulong, byte*, ExecutionState*, ulong>)code.Address(new MethodKey(subprogram, MethodKind.Callback));
        }
        return code;
    }

    /// <summary>The methods; keep them alive as long as their pointers are used.</summary>
    public IReadOnlyDictionary<MethodKey, DynamicMethod> Methods => _methods;

    /// <summary>The entry's address.</summary>
    public nint EntryPoint => Address(new MethodKey(0));

    /// <summary>The address of a method's machine code.</summary>
    public nint Address(MethodKey key) => Pointer(_methods[key]);

    // The address of a subprogram's callback target; what it invokes is filled in when the code is ready.
    private long Callback(int subprogram)
    {
        Method(new MethodKey(subprogram, MethodKind.Callback));
        _callbackTargets ??= GC.AllocateArray<CallbackTarget>(_program.Functions.Length, pinned: true);
        if (!_callbacks.TryGetValue(subprogram, out var index)) _callbacks.Add(subprogram, index = _callbacks.Count);
        return (long)(CallbackTarget*)System.Runtime.InteropServices.Marshal.UnsafeAddrOfPinnedArrayElement(_callbackTargets, index);
    }

    private DynamicMethod Method(MethodKey key)
    {
        if (_methods.TryGetValue(key, out var method)) return method;
        _emitter.Need(key);
        method = new DynamicMethod(_emitter.Name(key) + _tag, typeof(ulong), _emitter.ParameterTypes(key), typeof(CompiledCode).Module, skipVisibility: true);
        _methods.Add(key, method);
        return method;
    }

    /// <summary>The address of a method's machine code.</summary>
    public static nint Pointer(DynamicMethod method) => GetMethodDescriptor(method).GetFunctionPointer();

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

        public override void LoadCallback(int subprogram) => generator.Emit(OpCodes.Ldc_I8, code.Callback(subprogram));

        protected override void Call(MethodKey method) => generator.EmitCall(OpCodes.Call, code.Method(method), null);
    }
}
