namespace UringBpf.Bytecode;

/// <summary>Compares how an object declares a kfunc with the prototype it is linked to.</summary>
internal static class KfuncTypes
{
    /// <summary>Checks the declaration in the object's BTF, if it has one.</summary>
    /// <exception cref="BpfException">UB1324 when the numbers of arguments differ, or one is a pointer where the other is a number.</exception>
    public static void Check(BtfSpec btf, FunctionPrototype function)
    {
        if (btf.Find<BtfFunction>(function.Name) is not { } declared || btf[declared.TypeId] is not BtfPrototype prototype) return;
        if (prototype.Parameters.Length != function.Arguments.Length)
            throw Mismatch(btf, declared, $"it is declared with {prototype.Parameters.Length} arguments and has {function.Arguments.Length}");
        for (var i = 0; i < prototype.Parameters.Length; i++)
        {
            var argument = function.Arguments[i];
            if (Shape(btf, prototype.Parameters[i].TypeId) != ShapeOf(argument.Kind))
                throw Mismatch(btf, declared, $"argument {i + 1} ('{argument.Name}') must be a {(ShapeOf(argument.Kind) == ValueShape.Pointer ? "pointer" : "number")}");
        }
        // A result may be ignored, but not taken for what it is not.
        if (Shape(btf, prototype.ReturnTypeId) is var result && result != ValueShape.None && result != ShapeOf(function.Returns))
            throw Mismatch(btf, declared, "its result is of another kind");
    }

    private enum ValueShape
    {
        None,
        Number,
        Pointer,
        Other,
    }

    private static ValueShape Shape(BtfSpec btf, int typeId) => btf.Resolve(typeId) switch
    {
        BtfVoid => ValueShape.None,
        BtfInteger { Size: <= 8 } or BtfEnum => ValueShape.Number,
        BtfPointer => ValueShape.Pointer,
        _ => ValueShape.Other,
    };

    private static ValueShape ShapeOf(ArgumentKind kind) => kind switch
    {
        ArgumentKind.Scalar or ArgumentKind.Constant or ArgumentKind.Size or ArgumentKind.SizeOrZero or ArgumentKind.AllocationSize => ValueShape.Number,
        _ => ValueShape.Pointer,
    };

    private static ValueShape ShapeOf(ReturnKind kind) => kind switch
    {
        ReturnKind.Void => ValueShape.None,
        ReturnKind.Scalar => ValueShape.Number,
        _ => ValueShape.Pointer,
    };

    private static BpfException Mismatch(BtfSpec btf, BtfFunction declared, string why) =>
        new("UB1324", $"the declaration `{btf.Format(declared.Id)}` does not agree with the kfunc: {why}. Include the header that comes with this library.");
}
