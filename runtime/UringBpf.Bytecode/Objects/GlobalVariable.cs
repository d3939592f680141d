namespace UringBpf.Bytecode;

/// <summary>A global or static variable of an object: where its bytes lie.</summary>
/// <param name="Name">The symbol's name; a function's static is <c>function.name</c>.</param>
/// <param name="Map">The one-element array that holds its section.</param>
/// <param name="Offset">Byte offset in the array's value.</param>
/// <param name="Size">Bytes.</param>
/// <param name="TypeId">Its type in the object's BTF, or 0 without debug information.</param>
public sealed record GlobalVariable(string Name, MapSpec Map, int Offset, int Size, int TypeId);
