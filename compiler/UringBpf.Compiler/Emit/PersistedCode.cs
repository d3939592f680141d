using System.Reflection;
using System.Reflection.Emit;
using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;
using UringBpf.Bytecode;
using UringBpf.Runtime;

namespace UringBpf.Compiler;

/// <summary>Programs as classes of an assembly that is written to disk. Addresses are static fields, bound when it is loaded.</summary>
internal sealed partial class PersistedCode
{
    private const int LongestName = 500;

    public const string FingerprintField = "Fingerprint", BoundField = "IsBound", EntryMethod = "Run";

    private readonly PersistedAssemblyBuilder _assembly;
    private readonly ModuleBuilder _module;
    private readonly HashSet<string> _names = [];

    public PersistedCode(string name)
    {
        _assembly = new PersistedAssemblyBuilder(new AssemblyName(name), typeof(object).Assembly);
        _module = _assembly.DefineDynamicModule(name);
    }

    /// <summary>The class of a program: Hooks.NAME. A name that is not one of C, with dots, goes by its hash instead: a symbol may
    /// have any name, names of types have a grammar and are at most 1,023 characters long.</summary>
    public static string TypeName(string program) =>
        "Hooks." + (program.Length <= LongestName && PlainName().IsMatch(program) ? program : "$" + Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(program))));

    [GeneratedRegex(@"\A[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z0-9_$]+)*\z")]
    private static partial Regex PlainName();

    public static string MapField(int map) => $"Map{map}";

    public static string ValueField(int map) => $"Value{map}";

    public static string CallbackField(int subprogram) => $"Callback{subprogram}";

    public static string CallbackMethod(int subprogram) => $"Function{subprogram}Callback";

    /// <summary>Adds a program's class.</summary>
    public void Add(VerifiedProgram program, CompilerOptions options)
    {
        if (!_names.Add(program.Spec.Name)) throw new ArgumentException($"two programs are named '{program.Spec.Name}'.", nameof(program));
        var graph = new ProgramGraph(program, options.Functions ?? FunctionRegistry.BuiltIn, options);
        new ProgramClass(this, graph, options).Write();
    }

    public void Save(Stream output) => _assembly.Save(output);

    private sealed class ProgramClass
    {
        private readonly ProgramGraph _program;
        private readonly ProgramEmitter _emitter;
        private readonly TypeBuilder _type;
        private readonly Dictionary<MethodKey, MethodBuilder> _methods = [];
        private readonly Dictionary<string, FieldBuilder> _fields = [];

        public ProgramClass(PersistedCode assembly, ProgramGraph program, CompilerOptions options)
        {
            _program = program;
            _emitter = new ProgramEmitter(program, options);
            _type = assembly._module.DefineType(TypeName(program.Verified.Spec.Name),
                TypeAttributes.Public | TypeAttributes.Abstract | TypeAttributes.Sealed);
        }

        public void Write()
        {
            _type.DefineField(FingerprintField, typeof(string), FieldAttributes.Public | FieldAttributes.Static | FieldAttributes.Literal)
                .SetConstant(HookAssembly.Fingerprint(_program.Verified));
            _type.DefineField(BoundField, typeof(bool), FieldAttributes.Public | FieldAttributes.Static);
            _emitter.Emit(key => new Target(this, Method(key).GetILGenerator()));
            _type.CreateType();
        }

        public MethodBuilder Method(MethodKey key)
        {
            if (_methods.TryGetValue(key, out var method)) return method;
            _emitter.Need(key);
            var name = key switch
            {
                { Kind: MethodKind.Callback } => CallbackMethod(key.Function),
                { Kind: MethodKind.Region } => $"Function{key.Function}Region{key.Region}",
                { Function: 0 } => EntryMethod,
                _ => $"Function{key.Function}_{_program.Functions[key.Function].MethodName}",
            };
            method = _type.DefineMethod(name, MethodAttributes.Public | MethodAttributes.Static, typeof(ulong), _emitter.ParameterTypes(key));
            // Optimised from the first run on, as dynamic methods are.
            method.SetImplementationFlags(MethodImplAttributes.IL | MethodImplAttributes.AggressiveOptimization);
            _methods.Add(key, method);
            return method;
        }

        public FieldBuilder Field(string name)
        {
            if (!_fields.TryGetValue(name, out var field))
                _fields.Add(name, field = _type.DefineField(name, typeof(long), FieldAttributes.Public | FieldAttributes.Static));
            return field;
        }

        public void CheckPublic(MethodInfo method)
        {
            for (Type? type = method.DeclaringType; type is not null; type = type.DeclaringType)
            {
                if (method.IsPublic && type.IsVisible) continue;
                throw new BpfException("UB3004",
                    $"{_program.Verified.Spec.Name}: {method.DeclaringType}.{method.Name} is not public, so code in another assembly can't call it. Make the method and its class public.");
            }
        }
    }

    private sealed class Target(ProgramClass code, ILGenerator generator) : CodeTarget
    {
        public override ILGenerator Generator => generator;

        public override void LoadMap(int map) => generator.Emit(OpCodes.Ldsfld, code.Field(MapField(map)));

        public override void LoadMapValue(int map, long offset)
        {
            generator.Emit(OpCodes.Ldsfld, code.Field(ValueField(map)));
            if (offset == 0) return;
            generator.Emit(OpCodes.Ldc_I8, offset);
            generator.Emit(OpCodes.Add);
        }

        public override void LoadCallback(int subprogram)
        {
            code.Method(new MethodKey(subprogram, MethodKind.Callback));
            generator.Emit(OpCodes.Ldsfld, code.Field(CallbackField(subprogram)));
        }

        public override void CallHost(MethodInfo method)
        {
            code.CheckPublic(method);
            base.CallHost(method);
        }

        protected override void Call(MethodKey method) => generator.EmitCall(OpCodes.Call, code.Method(method), null);
    }
}
