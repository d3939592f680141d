using UringBpf.Bytecode;

namespace UringBpf.Verifier;

/// <summary>What checking the arguments of one call found out. Used again for the next call.</summary>
internal sealed class HostCall
{
    public FunctionPrototype Function { get; private set; } = null!;

    /// <summary>The map argument.</summary>
    public MapSpec? Map { get; set; }

    /// <summary>The key, when it is a known index within an array map; else -1.</summary>
    public long ConstantKey { get; set; }

    /// <summary>Bytes of memory the function returns.</summary>
    public int AllocationSize { get; set; }

    /// <summary>The record argument.</summary>
    public Value? Record { get; set; }

    /// <summary>The lock argument.</summary>
    public Value? Lock { get; set; }

    /// <summary>The first slot of the callback, or -1.</summary>
    public int Callback { get; set; }

    public Value? CallbackContext { get; set; }

    /// <summary>The iterator argument.</summary>
    public Value? Iterator { get; set; }

    /// <summary>The arguments as the registers held them, by position.</summary>
    public Value?[] Values { get; } = new Value?[5];

    /// <summary>Memory the function writes: the pointer, and the least and most bytes.</summary>
    public List<(Value Pointer, long Least, long Most)> Fills => _fills ??= [];

    /// <summary>True when it writes memory.</summary>
    public bool HasFills => _fills is { Count: > 0 };

    private List<(Value Pointer, long Least, long Most)>? _fills;

    /// <summary>Forgets the call before.</summary>
    public HostCall Begin(FunctionPrototype function)
    {
        Function = function;
        (Map, Record, Lock, CallbackContext, Iterator) = (null, null, null, null, null);
        (ConstantKey, AllocationSize, Callback) = (-1, 0, -1);
        Values.AsSpan().Clear();
        _fills?.Clear();
        return this;
    }
}

/// <summary>An argument as messages name it: made into text only where there is a message. The default is none.</summary>
internal readonly record struct ArgumentName(FunctionPrototype? Function, int Index)
{
    public bool IsArgument => Function is not null;

    public override string ToString() => $"{Function?.Name}: argument {Index + 1} ({Function?.Arguments[Index].Name})";
}

/// <summary>An access as messages name it: by a load or store, or by a function through an argument.</summary>
internal readonly record struct Access(ArgumentName Argument, bool Writes)
{
    public override string ToString() => Argument.IsArgument ? $"{Argument} {(Writes ? "writes" : "reads")}" : Writes ? "write" : "read";
}
