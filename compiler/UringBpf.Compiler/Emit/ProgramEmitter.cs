using System.Reflection.Emit;

namespace UringBpf.Compiler;

/// <summary>One method the compiler makes: a function, or one region of a long function.</summary>
/// <param name="Function">Index of the function.</param>
/// <param name="Kind">What of the function it is.</param>
/// <param name="Region">Index of the region.</param>
internal sealed record MethodKey(int Function, MethodKind Kind = MethodKind.Function, int Region = 0)
{
    // Written out: to compare enums as records do takes code that is not there ahead of time.
    public bool Equals(MethodKey? other) => other is not null && Function == other.Function && Kind == other.Kind && Region == other.Region;

    public override int GetHashCode() => (Function << 2 | (int)Kind) ^ Region << 16;
}

/// <summary>Kinds of methods.</summary>
internal enum MethodKind
{
    /// <summary>The function: the program's entry, or what its callers call.</summary>
    Function,
    /// <summary>One region of a long function.</summary>
    Region,
    /// <summary>The function as helpers call it back.</summary>
    Callback,
}

/// <summary>
/// Writes every method a program needs, the entry first: functions that are inlined everywhere get none of their own.
/// </summary>
internal sealed class ProgramEmitter(ProgramGraph program, CompilerOptions options)
{
    private readonly Dictionary<int, RegionPlan> _plans = [];
    private readonly HashSet<MethodKey> _seen = [];
    private readonly Queue<MethodKey> _waiting = [];

    /// <summary>Writes the methods.</summary>
    /// <param name="begin">Makes a method and gives where its code goes.</param>
    public void Emit(Func<MethodKey, CodeTarget> begin)
    {
        Need(new MethodKey(0));
        while (_waiting.TryDequeue(out var key)) EmitMethod(key, begin(key));
    }

    /// <summary>Says that a method is called or its address is taken.</summary>
    public void Need(MethodKey key)
    {
        if (_seen.Add(key)) _waiting.Enqueue(key);
    }

    /// <summary>The parameters of a method.</summary>
    public Type[] ParameterTypes(MethodKey key) => key.Kind switch
    {
        MethodKind.Region => RegionPlan.ParameterTypes,
        MethodKind.Callback => CallbackFrame.ParameterTypes,
        _ => program.Functions[key.Function].ParameterTypes,
    };

    /// <summary>The name of a method.</summary>
    public string Name(MethodKey key)
    {
        var name = program.Functions[key.Function].MethodName;
        return key.Kind switch
        {
            MethodKind.Region => $"{name}.region{key.Region}",
            MethodKind.Callback => $"{name}.callback",
            _ => name,
        };
    }

    private void EmitMethod(MethodKey key, CodeTarget target)
    {
        var function = program.Functions[key.Function];
        if (!program.IsReached(function.Function.Start))
        {
            // Its address is taken, and no path calls it: its code is not walked, so it may be anything.
            target.Generator.Emit(OpCodes.Ldc_I8, 0L);
            target.Generator.Emit(OpCodes.Ret);
            return;
        }
        if (!program.IsSplit(key.Function))
        {
            new FunctionEmitter(program, function, target, options, key.Kind == MethodKind.Callback ? new CallbackFrame() : function.Frame()).Emit();
            return;
        }
        if (key.Kind == MethodKind.Callback)
        {
            CallbackFrame.EmitForward(function, target, program.Verified.Termination == Bytecode.Termination.Metered ? program.Verified.CallCosts[function.Index] : 0);
            return;
        }
        if (!_plans.TryGetValue(key.Function, out var plan))
            _plans.Add(key.Function, plan = new RegionPlan(program, function, options));
        if (key.Kind == MethodKind.Function) RegionDriver.Emit(function, plan, target);
        else new FunctionEmitter(program, function, target, options, new RegionFrame(plan, key.Region, key.Function == 0), plan.Regions[key.Region], plan.Stack(key.Region)).Emit();
    }
}
