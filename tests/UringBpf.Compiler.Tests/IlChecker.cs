using System.Reflection;
using System.Reflection.Emit;

namespace UringBpf.Compiler.Tests;

/// <summary>
/// Checks recorded IL with a shadow stack: depth and types at every instruction, the same at every way into a label,
/// nothing left at a return, and no falling off the end (ECMA-335 III.1.5 and III.1.7.5).
/// </summary>
internal static class IlChecker
{
    /// <summary>What an evaluation stack slot holds.</summary>
    private enum Kind { Int32, Int64, Native, Reference, Vector }

    public static void Check(RecordingGenerator code, IReadOnlyList<Type> parameters, FunctionsOf functions)
    {
        var stack = new List<Kind>();
        var atLabel = new Dictionary<int, Kind[]>();
        var reachable = true;
        for (var i = 0; i < code.Instructions.Count; i++)
        {
            var item = code.Instructions[i];
            if (item.Label >= 0)
            {
                if (reachable) Meet(item.Label);
                // Code after an unconditional branch that nothing has branched to yet starts with an empty stack (III.1.7.5).
                stack = atLabel.TryGetValue(item.Label, out var expected) ? [.. expected] : [];
                atLabel.TryAdd(item.Label, [.. stack]);
                reachable = true;
                continue;
            }
            if (!reachable) Fail("code after an unconditional branch has no label");
            Step(item);

            void Fail(string what) => Assert.Fail($"IL {i} (BPF slot {item.Slot}), {item.OpCode} {item.Operand}: {what}; stack [{string.Join(", ", stack)}]");

            void Meet(int label)
            {
                if (!atLabel.TryAdd(label, [.. stack]) && !atLabel[label].SequenceEqual(stack)) Fail($"label {label} is reached with another stack [{string.Join(", ", atLabel[label])}]");
            }

            Kind Pop(params Kind[] allowed)
            {
                if (stack.Count == 0)
                {
                    Fail("the stack is empty");
                }
                var top = stack[^1];
                stack.RemoveAt(stack.Count - 1);
                if (allowed.Length > 0 && !allowed.Contains(top)) Fail($"found {top}, wants {string.Join(" or ", allowed)}");
                return top;
            }

            void Push(Kind kind) => stack.Add(kind);

            void PopArguments(IEnumerable<Type> types)
            {
                foreach (var type in types.Reverse())
                {
                    var kind = Of(type);
                    // A native int is accepted for a managed reference (as Unsafe.AsRef does it).
                    if (kind == Kind.Reference) Pop(Kind.Reference, Kind.Native);
                    else Pop(kind);
                }
            }

            void Step(RecordedInstruction instruction)
            {
                var name = instruction.OpCode.Name!;
                switch (name)
                {
                    case "nop" or "volatile." or "unaligned." or "tail.": break;
                    case "ldc.i4": Push(Kind.Int32); Assert.IsType<int>(instruction.Operand); break;
                    case "ldc.i4.0": Push(Kind.Int32); break;
                    case "ldc.i8": Push(Kind.Int64); break;
                    case "dup": Push(Pop()); Push(stack[^1]); break;
                    case "pop": Pop(); break;
                    case "ldarg": Push(Of(parameters[(int)instruction.Operand!])); break;
                    case "starg": Pop(Of(parameters[(int)instruction.Operand!])); break;
                    case "ldloc": Push(Of(((LocalBuilder)instruction.Operand!).LocalType)); break;
                    case "ldloca": Push(Kind.Reference); break;
                    case "stloc": Pop(Of(((LocalBuilder)instruction.Operand!).LocalType)); break;
                    case "conv.u" or "conv.i": Pop(Kind.Int32, Kind.Int64, Kind.Native, Kind.Reference); Push(Kind.Native); break;
                    case "conv.u8" or "conv.i8": Pop(Kind.Int32, Kind.Int64, Kind.Native); Push(Kind.Int64); break;
                    case "conv.u4" or "conv.i4" or "conv.u2" or "conv.i2" or "conv.u1" or "conv.i1": Pop(Kind.Int32, Kind.Int64, Kind.Native); Push(Kind.Int32); break;
                    case "neg" or "not": Push(Pop(Kind.Int32, Kind.Int64)); break;
                    case "shl" or "shr" or "shr.un": Pop(Kind.Int32); Push(Pop(Kind.Int32, Kind.Int64)); break;
                    case "add" or "sub" or "mul" or "and" or "or" or "xor" or "div" or "div.un" or "rem" or "rem.un":
                        var right = Pop(Kind.Int32, Kind.Int64, Kind.Native);
                        Pop(right);
                        Push(right);
                        break;
                    case "ceq" or "cgt" or "cgt.un" or "clt" or "clt.un":
                        Pop(Pop(Kind.Int32, Kind.Int64, Kind.Native));
                        Push(Kind.Int32);
                        break;
                    case "ldind.i1" or "ldind.u1" or "ldind.i2" or "ldind.u2" or "ldind.i4" or "ldind.u4": Pop(Kind.Native, Kind.Reference); Push(Kind.Int32); break;
                    case "ldind.i8": Pop(Kind.Native, Kind.Reference); Push(Kind.Int64); break;
                    case "stind.i1" or "stind.i2" or "stind.i4": Pop(Kind.Int32); Pop(Kind.Native, Kind.Reference); break;
                    case "stind.i8": Pop(Kind.Int64); Pop(Kind.Native, Kind.Reference); break;
                    case "ldfld": Pop(Kind.Native, Kind.Reference); Push(Of(((FieldInfo)instruction.Operand!).FieldType)); break;
                    case "ldflda": Pop(Kind.Native, Kind.Reference); Push(Kind.Reference); break;
                    case "stfld": Pop(Of(((FieldInfo)instruction.Operand!).FieldType)); Pop(Kind.Native, Kind.Reference); break;
                    case "initblk": Pop(Kind.Int32); Pop(Kind.Int32); Pop(Kind.Native, Kind.Reference); break;
                    case "cpblk": Pop(Kind.Int32); Pop(Kind.Native, Kind.Reference); Pop(Kind.Native, Kind.Reference); break;
                    case "br": Branch(); reachable = false; break;
                    case "brtrue" or "brfalse": Pop(Kind.Int32, Kind.Int64, Kind.Native); Branch(); break;
                    case "beq" or "bne.un" or "bgt" or "bgt.un" or "bge" or "bge.un" or "blt" or "blt.un" or "ble" or "ble.un":
                        Pop(Pop(Kind.Int32, Kind.Int64, Kind.Native));
                        Branch();
                        break;
                    case "switch":
                        Pop(Kind.Int32);
                        foreach (var label in (Label[])instruction.Operand!) Meet(label.Id);
                        break;
                    case "call": Call(instruction.Operand!); break;
                    case "calli":
                        var signature = (IndirectCall)instruction.Operand!;
                        Pop(Kind.Native);
                        PopArguments(signature.ParameterTypes);
                        if (signature.ReturnType is { } type && type != typeof(void)) Push(Of(type));
                        break;
                    case "ret":
                        Pop(Kind.Int64);
                        if (stack.Count != 0) Fail("values are left at the return");
                        reachable = false;
                        break;
                    default: Fail("the checker does not know this opcode"); break;
                }

                void Branch() => Meet(((Label)instruction.Operand!).Id);
            }

            void Call(object operand)
            {
                if (operand is Symbol symbol)
                {
                    PopArguments(functions(symbol.Name));
                    Push(Kind.Int64);
                    return;
                }
                var method = (MethodInfo)operand;
                PopArguments(method.GetParameters().Select(parameter => parameter.ParameterType));
                if (method.ReturnType != typeof(void)) Push(Of(method.ReturnType));
            }
        }
        Assert.False(reachable, "the IL falls off its end");
    }

    /// <summary>The parameters of a function of the program by its symbol.</summary>
    internal delegate IReadOnlyList<Type> FunctionsOf(string symbol);

    private static Kind Of(Type type) =>
        type.IsPointer || type.IsFunctionPointer || type == typeof(nint) || type == typeof(nuint) ? Kind.Native
        : type.IsByRef ? Kind.Reference
        : type == typeof(long) || type == typeof(ulong) ? Kind.Int64
        : type.IsEnum || type == typeof(int) || type == typeof(uint) || type == typeof(short) || type == typeof(ushort)
            || type == typeof(byte) || type == typeof(sbyte) || type == typeof(bool) ? Kind.Int32
        : type.IsValueType ? Kind.Vector
        : throw new InvalidOperationException(type.ToString());
}
