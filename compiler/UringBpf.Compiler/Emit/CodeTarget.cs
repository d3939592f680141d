using System.Reflection.Emit;

namespace UringBpf.Compiler;

/// <summary>
/// What differs between the places code is emitted to: how a map, a subprogram or a callback is named. A DynamicMethod
/// binds addresses as constants; a persisted assembly loads fields bound at start; a dump prints symbols.
/// </summary>
internal abstract class CodeTarget
{
    /// <summary>Where the function's instructions go.</summary>
    public abstract ILGenerator Generator { get; }

    /// <summary>Says which BPF instruction the next IL belongs to.</summary>
    public virtual void BeginInstruction(int slot)
    {
    }

    /// <summary>True where <see cref="NameLocal"/> does something: names of locals are not worth making otherwise.</summary>
    public virtual bool NamesLocals => false;

    /// <summary>Gives a local a name for dumps.</summary>
    public virtual void NameLocal(LocalBuilder local, string name)
    {
    }

    /// <summary>Pushes the address of a map's header as int64.</summary>
    public abstract void LoadMap(int map);

    /// <summary>Pushes the address <paramref name="offset"/> bytes into the first value of a map as int64.</summary>
    public abstract void LoadMapValue(int map, long offset);

    /// <summary>Pushes the pointer a callback argument has, as int64.</summary>
    public abstract void LoadCallback(int subprogram);

    /// <summary>Calls a helper or kfunc; its arguments are on the stack.</summary>
    public virtual void CallHost(System.Reflection.MethodInfo method) => Generator.EmitCall(OpCodes.Call, method, null);

    /// <summary>Calls a function made by this compiler; its arguments are on the stack.</summary>
    public void CallFunction(int subprogram) => Call(new MethodKey(subprogram));

    /// <summary>Calls a region of a split function.</summary>
    public void CallRegion(int function, int region) => Call(new MethodKey(function, MethodKind.Region, region));

    /// <summary>Calls a method made by this compiler.</summary>
    protected abstract void Call(MethodKey method);
}
