using System.Reflection;
using System.Reflection.Emit;
using UringBpf.Bytecode;
using UringBpf.Compiler;
using UringBpf.Runtime;

namespace UringBpf;

/// <summary>
/// Checks recorded IL with a shadow stack: depth and types at every instruction, the same at every way into a label, values of
/// a local's and an argument's own type, labels that are there once, nothing left at a return, and no falling off the end
/// (ECMA-335 III.1.5 and III.1.7.5). Stricter than the runtime, which takes an int64 for a native int and says nothing.
/// </summary>
internal sealed class IlChecker
{
    /// <summary>What an evaluation stack slot holds.</summary>
    private enum Kind { Int32, Int64, Native, Reference, Vector }

    // A vector of bytes is not one of shorts.
    private readonly record struct Value(Kind Kind, Type? Vector = null)
    {
        public override string ToString() => Vector?.ToString() ?? Kind.ToString();
    }

    private static readonly Value s_int32 = new(Kind.Int32), s_int64 = new(Kind.Int64), s_native = new(Kind.Native), s_reference = new(Kind.Reference);

    private readonly IReadOnlyList<RecordedInstruction> _code;
    private readonly HashSet<LocalBuilder> _locals;
    private readonly IReadOnlyList<Type> _parameters;
    private readonly Func<string, IReadOnlyList<Type>> _functions;
    private readonly Dictionary<int, Value[]> _atLabel = [];
    private readonly HashSet<int> _marked = [];
    private List<Value> _stack = [];
    private bool _reachable = true;
    private int _at;
    private int _deepest;

    private IlChecker(IReadOnlyList<RecordedInstruction> code, IReadOnlyList<LocalBuilder> locals, IReadOnlyList<Type> parameters, Func<string, IReadOnlyList<Type>> functions)
    {
        _code = code;
        _locals = [.. locals];
        _parameters = parameters;
        _functions = functions;
    }

    /// <summary>Checks every method the compiler makes of a program.</summary>
    /// <exception cref="IlException">The IL is not well formed.</exception>
    public static void Check(VerifiedProgram program, CompilerOptions? options = null)
    {
        options ??= CompilerOptions.Default;
        var code = RecordedCode.Create(new ProgramGraph(program, options.Functions ?? FunctionRegistry.BuiltIn, options), options);
        var parameters = code.Methods.ToDictionary(method => method.Name, method => (IReadOnlyList<Type>)method.Parameters);
        foreach (var method in code.Methods) Check(method.Code.Instructions, method.Code.Locals, method.Parameters, symbol => parameters[symbol]);
    }

    /// <summary>Checks one method.</summary>
    /// <param name="code">Its instructions.</param>
    /// <param name="locals">Its locals.</param>
    /// <param name="parameters">Its parameters.</param>
    /// <param name="functions">The parameters of a function of the program by its symbol.</param>
    /// <returns>The most values that are ever on the stack.</returns>
    /// <exception cref="IlException">The IL is not well formed.</exception>
    public static int Check(IReadOnlyList<RecordedInstruction> code, IReadOnlyList<LocalBuilder> locals, IReadOnlyList<Type> parameters, Func<string, IReadOnlyList<Type>> functions) =>
        new IlChecker(code, locals, parameters, functions).Walk();

    private int Walk()
    {
        for (_at = 0; _at < _code.Count; _at++)
        {
            var item = _code[_at];
            if (item.Label >= 0)
            {
                if (!_marked.Add(item.Label)) Fail("the label is there already");
                if (_reachable) Meet(item.Label);
                // Code after an unconditional branch that nothing has branched to yet starts with an empty stack (III.1.7.5).
                _stack = _atLabel.TryGetValue(item.Label, out var expected) ? [.. expected] : [];
                _atLabel.TryAdd(item.Label, [.. _stack]);
                _reachable = true;
                continue;
            }
            if (!_reachable) Fail("code after an unconditional branch has no label");
            Step(item);
        }
        _at = _code.Count - 1;
        if (_reachable) Fail("the IL falls off its end");
        if (_atLabel.Keys.FirstOrDefault(label => !_marked.Contains(label), -1) is >= 0 and var missing) Fail($"label {missing} is branched to and is nowhere");
        return _deepest;
    }

    private void Step(in RecordedInstruction instruction)
    {
        var operand = instruction.Operand;
        switch (instruction.OpCode.Name!)
        {
            case "nop" or "volatile." or "unaligned." or "tail.": break;
            case "ldc.i4":
                if (operand is not int) Fail("the constant is no int32");
                Push(s_int32);
                break;
            case "ldc.i4.0": Push(s_int32); break;
            case "ldc.i8":
                if (operand is not (long or Symbol)) Fail("the constant is no int64");
                Push(s_int64);
                break;
            case "dup":
                var top = Pop();
                Push(top);
                Push(top);
                break;
            case "pop": Pop(); break;
            case "ldarg": Push(Of(Parameter(operand))); break;
            case "starg": Pop(Of(Parameter(operand))); break;
            case "ldloc": Push(Of(Local(operand))); break;
            case "ldloca": Local(operand); Push(s_reference); break;
            case "stloc": Pop(Of(Local(operand))); break;
            case "conv.u" or "conv.i": PopAny(Kind.Int32, Kind.Int64, Kind.Native, Kind.Reference); Push(s_native); break;
            case "conv.u8" or "conv.i8": PopAny(Kind.Int32, Kind.Int64, Kind.Native); Push(s_int64); break;
            case "conv.u4" or "conv.i4" or "conv.u2" or "conv.i2" or "conv.u1" or "conv.i1": PopAny(Kind.Int32, Kind.Int64, Kind.Native); Push(s_int32); break;
            case "neg" or "not": Push(PopAny(Kind.Int32, Kind.Int64)); break;
            case "shl" or "shr" or "shr.un": Pop(s_int32); Push(PopAny(Kind.Int32, Kind.Int64)); break;
            case "add" or "sub" or "mul" or "and" or "or" or "xor" or "div" or "div.un" or "rem" or "rem.un":
                var right = PopAny(Kind.Int32, Kind.Int64, Kind.Native);
                Pop(right);
                Push(right);
                break;
            case "ceq" or "cgt" or "cgt.un" or "clt" or "clt.un":
                Pop(PopAny(Kind.Int32, Kind.Int64, Kind.Native));
                Push(s_int32);
                break;
            case "ldind.i1" or "ldind.u1" or "ldind.i2" or "ldind.u2" or "ldind.i4" or "ldind.u4": PopAddress(); Push(s_int32); break;
            case "ldind.i8": PopAddress(); Push(s_int64); break;
            case "stind.i1" or "stind.i2" or "stind.i4": Pop(s_int32); PopAddress(); break;
            case "stind.i8": Pop(s_int64); PopAddress(); break;
            case "ldfld": PopAddress(); Push(Of(((FieldInfo)operand!).FieldType)); break;
            case "ldflda": PopAddress(); Push(s_reference); break;
            case "stfld": Pop(Of(((FieldInfo)operand!).FieldType)); PopAddress(); break;
            case "initblk": Pop(s_int32); Pop(s_int32); PopAddress(); break;
            case "cpblk": Pop(s_int32); PopAddress(); PopAddress(); break;
            case "br": Meet(operand); _reachable = false; break;
            case "brtrue" or "brfalse": PopAny(Kind.Int32, Kind.Int64, Kind.Native); Meet(operand); break;
            case "beq" or "bne.un" or "bgt" or "bgt.un" or "bge" or "bge.un" or "blt" or "blt.un" or "ble" or "ble.un":
                Pop(PopAny(Kind.Int32, Kind.Int64, Kind.Native));
                Meet(operand);
                break;
            case "switch":
                Pop(s_int32);
                foreach (var label in (Label[])operand!) Meet(label.Id);
                break;
            case "call" when operand is Symbol symbol:
                PopArguments(_functions(symbol.Name));
                Push(s_int64);
                break;
            case "call":
                var method = (MethodInfo)operand!;
                PopArguments(method.GetParameters().Select(parameter => parameter.ParameterType));
                PushResult(method.ReturnType);
                break;
            case "calli":
                var signature = (IndirectCall)operand!;
                Pop(s_native);
                PopArguments(signature.ParameterTypes);
                PushResult(signature.ReturnType ?? typeof(void));
                break;
            case "ret":
                Pop(s_int64);
                if (_stack.Count != 0) Fail("values are left at the return");
                _reachable = false;
                break;
            default: Fail("the checker does not know this opcode"); break;
        }
    }

    private void Fail(string what)
    {
        var item = _at >= 0 && _at < _code.Count ? _code[_at] : default;
        throw new IlException($"IL {_at} (BPF slot {item.Slot}), {(item.Label >= 0 ? $"label {item.Label}" : $"{item.OpCode} {item.Operand}")}: {what}; stack [{string.Join(", ", _stack)}]");
    }

    private void Meet(object? label) => Meet(((Label)label!).Id);

    private void Meet(int label)
    {
        if (!_atLabel.TryAdd(label, [.. _stack]) && !_atLabel[label].SequenceEqual(_stack))
            Fail($"label {label} is reached with another stack, [{string.Join(", ", _atLabel[label])}]");
    }

    private void Push(Value value)
    {
        _stack.Add(value);
        _deepest = Math.Max(_deepest, _stack.Count);
    }

    private void PushResult(Type type)
    {
        if (type != typeof(void)) Push(Of(type));
    }

    private Value Pop()
    {
        if (_stack.Count == 0) Fail("the stack is empty");
        var top = _stack[^1];
        _stack.RemoveAt(_stack.Count - 1);
        return top;
    }

    private void Pop(Value wanted)
    {
        if (Pop() is var found && found != wanted) Fail($"found {found}, wants {wanted}");
    }

    private Value PopAny(params ReadOnlySpan<Kind> allowed)
    {
        var found = Pop();
        if (!allowed.Contains(found.Kind)) Fail($"found {found}, wants {string.Join(" or ", allowed.ToArray())}");
        return found;
    }

    private void PopAddress() => PopAny(Kind.Native, Kind.Reference);

    private void PopArguments(IEnumerable<Type> types)
    {
        foreach (var type in types.Reverse())
        {
            // A native int is accepted for a managed reference (as Unsafe.AsRef does it).
            if (Of(type) is { Kind: Kind.Reference }) PopAddress();
            else Pop(Of(type));
        }
    }

    private Type Parameter(object? operand)
    {
        if (operand is not int index || (uint)index >= (uint)_parameters.Count) Fail("there is no such argument");
        return _parameters[(int)operand!];
    }

    private Type Local(object? operand)
    {
        if (operand is not LocalBuilder local || !_locals.Contains(local)) Fail("the local is not this method's");
        return ((LocalBuilder)operand!).LocalType;
    }

    private static Value Of(Type type) =>
        type.IsPointer || type.IsFunctionPointer || type == typeof(nint) || type == typeof(nuint) ? s_native
        : type.IsByRef ? s_reference
        : type == typeof(long) || type == typeof(ulong) ? s_int64
        : type.IsEnum || type == typeof(int) || type == typeof(uint) || type == typeof(short) || type == typeof(ushort)
            || type == typeof(byte) || type == typeof(sbyte) || type == typeof(bool) ? s_int32
        : type.IsValueType ? new Value(Kind.Vector, type)
        : throw new InvalidOperationException(type.ToString());
}

/// <summary>IL that is not well formed.</summary>
internal sealed class IlException(string message) : Exception(message);
